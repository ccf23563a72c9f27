"""The inference Space: a web page and a REST API over `polyid`."""
