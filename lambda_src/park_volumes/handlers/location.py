"""Where a function runs, and where people see its instances."""

from dataclasses import dataclass, replace

CONSOLES = {
    "aws": "console.aws.amazon.com",
    "aws-cn": "console.amazonaws.cn",
    "aws-eusc": "console.amazonaws-eusc.eu",
    "aws-us-gov": "console.amazonaws-us-gov.com",
}


@dataclass(frozen=True, kw_only=True)
class FunctionLocation:
    """Where the function runs, read from its ARN; or another region that it looks after from there."""

    partition: str
    region: str
    account: str
    home: str = ""
    """The region of the function, if that is another one."""

    @classmethod
    def of_function(cls, arn: str) -> "FunctionLocation":
        _, partition, _, region, account, *_ = arn.split(":")
        return cls(partition=partition, region=region, account=account)

    def at(self, region: str) -> "FunctionLocation":
        return self if region == self.region else replace(self, region=region, home=self.home or self.region)

    @property
    def of(self) -> str:
        """The beginning of a sentence that is not about the home region."""
        return f"In {self.region}: " if self.home else ""

    def console(self, instance_id: str) -> str:
        """The address of its page in the console; empty if that of the partition is not known."""
        host = CONSOLES.get(self.partition)
        if host is None:
            return ""
        return f"https://{self.region}.{host}/ec2/home?region={self.region}#InstanceDetails:instanceId={instance_id}"

    def arn(self, instance_id: str) -> str:
        return f"arn:{self.partition}:ec2:{self.region}:{self.account}:instance/{instance_id}"
