"""What owners' Terraform plans say while their instances are parked and after the start, with the real provider."""
