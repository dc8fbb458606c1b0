"""The module as Terraform deploys it, on the local AWS: the deployed rules, queues, roles, zip and Function URL."""
