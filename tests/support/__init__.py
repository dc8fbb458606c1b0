"""What the demo and the deployed tests share: Terraform, the Function URL, and a fleet of instances to park."""
