"""Where a function runs, and where people see its instances."""

from dataclasses import dataclass

CONSOLES = {
    "aws": "console.aws.amazon.com",
    "aws-cn": "console.amazonaws.cn",
    "aws-us-gov": "console.amazonaws-us-gov.com",
}


@dataclass(frozen=True, kw_only=True)
class FunctionLocation:
    """Where the function runs, read from its ARN."""

    partition: str
    region: str
    account: str

    @classmethod
    def of_function(cls, arn: str) -> "FunctionLocation":
        _, partition, _, region, account, *_ = arn.split(":")
        return cls(partition=partition, region=region, account=account)

    def console(self, instance_id: str) -> str:
        host = CONSOLES.get(self.partition, CONSOLES["aws"])
        return f"https://{self.region}.{host}/ec2/home?region={self.region}#InstanceDetails:instanceId={instance_id}"

    def arn(self, instance_id: str) -> str:
        return f"arn:{self.partition}:ec2:{self.region}:{self.account}:instance/{instance_id}"
