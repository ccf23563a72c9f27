"""The web page of the service: the same predictions as the API's, for a chemist's eyes."""
