# What a stack may already have. Every line that ParkVolumes needs is marked with "add".

data "aws_ssm_parameter" "image" {
  name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
}

locals {
  image = nonsensitive(data.aws_ssm_parameter.image.value)
}

# A root volume alone, or disks from a launch template: the tag is all it takes.
resource "aws_instance" "web" {
  ami           = local.image
  instance_type = "t3.micro"

  root_block_device {
    volume_type = "gp3"
    volume_size = 16
    encrypted   = true
  }

  tags = {
    Name        = "web"
    ParkVolumes = "true" # add
  }

  lifecycle {
    ignore_changes = [ami] # a new image every few weeks must not replace the instance
  }
}

# Disks as ebs_block_device: without the line in lifecycle, Terraform would plan to replace the instance once it is parked.
resource "aws_instance" "app" {
  ami           = local.image
  instance_type = "t3.micro"

  ebs_block_device {
    device_name = "/dev/sdf"
    volume_type = "gp3"
    volume_size = 20
  }

  tags = {
    Name        = "app"
    ParkVolumes = "true" # add
  }

  lifecycle {
    ignore_changes = [ami, root_block_device, ebs_block_device] # add the last two
  }
}

# A disk as aws_ebs_volume: Terraform would make a new, empty one, so this one is left attached and only the others are parked.
resource "aws_instance" "db" {
  ami           = local.image
  instance_type = "t3.micro"

  tags = {
    Name        = "db"
    ParkVolumes = "true" # add
  }

  lifecycle {
    ignore_changes = [ami]
  }
}

resource "aws_ebs_volume" "db" {
  availability_zone = aws_instance.db.availability_zone
  type              = "gp3"
  size              = 50

  tags = {
    Name        = "db-data"
    ParkVolumes = "false" # add
  }
}

resource "aws_volume_attachment" "db" {
  instance_id = aws_instance.db.id
  volume_id   = aws_ebs_volume.db.id
  device_name = "/dev/sdf"
}
