"""What it costs and how long it takes: the product's own code, and two other ways, on the strict EC2 model's clock."""
