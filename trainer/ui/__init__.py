"""The Training Space: a page that starts, shows and stops one run, and gives the hardware back."""
