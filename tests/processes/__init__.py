"""What takes a program of its own to see: Terraform, the local AWS, the build, and commands as people run them."""
