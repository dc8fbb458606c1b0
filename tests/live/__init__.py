"""`make live`: the open questions, EC2's rules and the whole product in an AWS account, or in the local AWS."""
