variable "name" {
  description = "Name of this deployment. Every resource name starts with it, and every snapshot is tagged with it, so two deployments in one account and region need two names. Before you change it while instances are parked, put the old name into previous_names: otherwise they do not start. A new name recreates everything, and the Function URL changes."
  type        = string
  default     = "park-volumes"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,30}[a-z0-9])?$", var.name))
    error_message = "name must have 1 to 32 lower-case letters, digits and hyphens, begin with a letter and not end with a hyphen, for example \"park-volumes\"."
  }
}

variable "previous_names" {
  description = "Names that this deployment had before. The new name starts and looks after whatever was parked under them. The functions and roles can then reach whatever bears one of these names, so destroy the old deployment first; if it still runs, a message says so once a day."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for name in var.previous_names : can(regex("^[a-z]([a-z0-9-]{0,30}[a-z0-9])?$", name))])
    error_message = "previous_names must hold names as name takes them, of 1 to 32 lower-case letters, digits and hyphens, for example [\"park-volumes\"]."
  }

  validation {
    condition     = length(var.previous_names) <= 4
    error_message = "previous_names must hold at most 4 names, for example [\"park-volumes\"]: each is in every condition of the roles and every question to EC2. What has no snapshots left can be taken out."
  }

  validation {
    condition     = !contains(var.previous_names, var.name)
    error_message = "previous_names must hold earlier names only, not the present one, for example [\"park-volumes\"] with name = \"parking\"."
  }
}

variable "tags" {
  description = "Tags for every resource of this module that can have tags. Instances, volumes and snapshots do not get them."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition = length(var.tags) <= 50 && alltrue([
      for key, value in var.tags :
      can(regex("^[\\p{L}\\p{Z}\\p{N}_.:/=+@-]{1,128}$", key)) &&
      can(regex("^[\\p{L}\\p{Z}\\p{N}_.:/=+@-]{0,256}$", value)) &&
      !startswith(lower(key), "aws:")
    ])
    error_message = "tags must be at most 50 pairs with keys of 1 to 128 and values of at most 256 letters, digits, spaces and _ . : / = + - @; no key may begin with \"aws:\", for example { Team = \"data\" }."
  }
}

variable "regions" {
  description = "Other regions that this deployment looks after, beside its own, which is that of the provider: their names, or all for every region that the account has enabled. Roles, functions, queues and the Function URL stay in its own region. Elsewhere a sweep finds what has stopped, or modules/region reports it at once. Before you take a region out, start what is parked there: its snapshots stay, and nothing restores them any more. docs/regions.md says more."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for region in var.regions : region == "all" || can(regex("^[a-z]{2,5}(-[a-z]+)+-[0-9]{1,2}$", region))])
    error_message = "regions must hold names of regions, not of zones, or the one word \"all\", for example [\"eu-central-1\", \"us-east-1\"] or [\"all\"]."
  }

  validation {
    condition     = !contains(var.regions, "all") || length(var.regions) == 1
    error_message = "regions must hold either names or the one word \"all\", since that is every region already, for example [\"all\"]."
  }

  validation {
    condition     = length(var.regions) <= 20
    error_message = "regions must hold at most 20 names, for example [\"eu-central-1\", \"us-east-1\"]: they are in the policies of the roles, which AWS limits to 10,240 characters. For more regions, it must be [\"all\"]."
  }
}

variable "opt_in_tag_key" {
  description = "Key of the tag that opts an instance in: the value true parks every volume, root only the root volume. On a volume, the value false leaves that volume attached. docs/words.md lists all values."
  type        = string
  default     = "ParkVolumes"
  nullable    = false

  validation {
    condition = (
      can(regex("^[A-Za-z0-9+=._:@-]{1,127}$", var.opt_in_tag_key)) &&
      !can(regex("^(?i:aws:|park-volumes:)", var.opt_in_tag_key)) &&
      !contains([".", "..", "_index"], var.opt_in_tag_key)
    )
    error_message = "opt_in_tag_key must have 1 to 127 letters, digits and + - = . _ : @ (what instance metadata allows in a tag key), not be \".\", \"..\" or \"_index\", and not begin with \"aws:\" or \"park-volumes:\", for example \"ParkVolumes\"."
  }
}

variable "function_url_auth" {
  description = "Who may call the Function URL. AWS_IAM: callers sign their requests and have the permissions of the output start_policy_json. TOKEN: the URL is open to the internet, and anybody with a token of start_tokens_parameter may call it, also with a browser. On AWS, TOKEN needs provider 6.28 or newer, the first that gives such a URL both permission statements it needs. Changing AWS_IAM to TOKEN changes the address of the URL. Changing back keeps it and closes the URL at once; start_tokens_parameter, peers and page_origins have to go, too (docs/security.md names the statement that provider 6.28 and newer leave behind)."
  type        = string
  default     = "AWS_IAM"
  nullable    = false

  validation {
    condition     = contains(["AWS_IAM", "TOKEN"], var.function_url_auth)
    error_message = "function_url_auth must be \"AWS_IAM\" or \"TOKEN\", for example \"AWS_IAM\"."
  }
}

variable "start_tokens_parameter" {
  description = "Name of an SSM parameter (SecureString) that you create, with the tokens for function_url_auth TOKEN: lines of name:token or name:token:pattern. A token has at least 32 characters. A pattern, such as web-*, limits its holder to the instances whose Name matches. The parameter is read again every 5 minutes. Null with AWS_IAM."
  type        = string
  default     = null

  validation {
    condition     = var.start_tokens_parameter == null || can(regex("^(/[A-Za-z0-9_.-]+)+$|^[A-Za-z0-9_.-]+$", var.start_tokens_parameter))
    error_message = "start_tokens_parameter must be the name of an SSM parameter, not its ARN and not a token, for example \"/park-volumes/tokens\"; for none, it must be null, not \"\"."
  }

  validation {
    condition     = (var.function_url_auth == "TOKEN") == (var.start_tokens_parameter != null)
    error_message = "start_tokens_parameter must be set with function_url_auth = \"TOKEN\" and only then: it names the SSM parameter that holds the tokens, for example \"/park-volumes/tokens\"."
  }
}

variable "stay_signed_in_days" {
  description = "Days for which people can stay signed in to the page on a device, from 0 to 30, if they tick the box. The device then keeps a pass that ends by itself, and not the token. A smaller number also ends passes that were given for longer. 0: nobody can stay signed in."
  type        = number
  default     = 7
  nullable    = false

  validation {
    condition     = floor(var.stay_signed_in_days) == var.stay_signed_in_days && var.stay_signed_in_days >= 0 && var.stay_signed_in_days <= 30
    error_message = "stay_signed_in_days must be a whole number of days from 0 to 30, for example 7."
  }
}

variable "address_protocol" {
  description = "How people open the address of a running instance: the page shows it as a link with this protocol, which is https, http, ssh, sftp, rdp or vnc. Empty: it is shown as text. It can be copied either way."
  type        = string
  default     = "https"
  nullable    = false

  validation {
    condition     = contains(["", "https", "http", "ssh", "sftp", "rdp", "vnc"], var.address_protocol)
    error_message = "address_protocol must be https, http, ssh, sftp, rdp or vnc, without \"://\", or empty for no link, for example \"https\"."
  }
}

variable "peers" {
  description = "Other deployments whose instances the page shows beside its own: display name to the https address of their Function URL, or of a custom domain in front of it. They are asked with the token that somebody signs in with here, or with one of their own, so name only deployments that you trust with it. Each of them has to name this page in page_origins. An entry for this deployment itself only gives it its name, so all deployments can have the same map. Needs function_url_auth TOKEN."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for address in values(var.peers) : can(regex("^https://([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?/?$", address))])
    error_message = "peers must hold https addresses in lower case, without a port and a path, for example { production = \"https://abcdefghijklmnopqrstuvwxyz012345.lambda-url.eu-west-1.on.aws/\" }."
  }

  validation {
    condition     = alltrue([for name in keys(var.peers) : can(regex("^[\\p{L}\\p{N}][\\p{L}\\p{N} ._-]{0,39}$", name))])
    error_message = "peers must have display names of 1 to 40 letters, digits, spaces and . _ - that begin with a letter or a digit, for example { production = \"https://abcdefghijklmnopqrstuvwxyz012345.lambda-url.eu-west-1.on.aws/\" }."
  }

  validation {
    condition     = length(jsonencode(var.peers)) <= 1800
    error_message = "peers must have at most 1,800 characters in all, for example 15 names with the addresses of Function URLs: they are part of the function's environment, which AWS limits to 4 KB."
  }

  validation {
    condition     = length(distinct([for address in values(var.peers) : trimsuffix(address, "/")])) == length(var.peers)
    error_message = "peers must name every address once, for example { production = \"https://abcdefghijklmnopqrstuvwxyz012345.lambda-url.eu-west-1.on.aws/\" }."
  }

  validation {
    condition     = length(var.peers) == 0 || var.function_url_auth == "TOKEN"
    error_message = "peers must be empty unless function_url_auth is \"TOKEN\", for example {}: with AWS_IAM nobody opens the page at the Function URL."
  }
}

variable "page_origins" {
  description = "Origins of the pages of other deployments, which may call this deployment from a browser: those that name it in their peers. Callers need a token all the same. Empty: no page but its own. Needs function_url_auth TOKEN."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for origin in var.page_origins : can(regex("^https://([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$", origin))])
    error_message = "page_origins must be https origins in lower case, without a port, a path or a slash at the end, for example [\"https://abcdefghijklmnopqrstuvwxyz012345.lambda-url.eu-west-1.on.aws\"]."
  }

  validation {
    condition     = length(join(" ", var.page_origins)) <= 1000
    error_message = "page_origins must have at most 1,000 characters in all, for example 13 origins of Function URLs: they are part of the function's environment, which AWS limits to 4 KB."
  }

  validation {
    condition     = length(var.page_origins) == 0 || var.function_url_auth == "TOKEN"
    error_message = "page_origins must be empty unless function_url_auth is \"TOKEN\", for example []: with AWS_IAM callers sign their requests, which no page of another deployment can."
  }
}

variable "observe_only" {
  description = "Only observe: the module reports what it would park and what that would save, in the log and at the Function URL, and changes nothing. It does not start or stop instances either."
  type        = bool
  default     = false
  nullable    = false
}

variable "start_on_failed_start" {
  description = "Also restore and start a parked instance when somebody tries to start it elsewhere (console, CLI, SDK, a scheduler) and EC2 refuses because the root volume is missing. This needs a CloudTrail trail that logs management events in this region. If the region has no trail at all, the log and notification_topic_arn say so once a day; what a trail logs, park-volumes doctor says. In the other regions it needs such a trail, too, and modules/region."
  type        = bool
  default     = true
  nullable    = false
}

variable "grace_period_minutes" {
  description = "Minutes that an instance must have been stopped before its volumes are detached. The snapshots are taken meanwhile."
  type        = number
  default     = 0
  nullable    = false

  validation {
    condition     = floor(var.grace_period_minutes) == var.grace_period_minutes && var.grace_period_minutes >= 0 && var.grace_period_minutes <= 43200
    error_message = "grace_period_minutes must be a whole number of minutes from 0 to 43200 (30 days), for example 60."
  }
}

variable "snapshot_retention_hours" {
  description = "Hours that the snapshots are kept after their instance was seen running on the restored volumes. They are a way back, and they make the next snapshots incremental."
  type        = number
  default     = 24
  nullable    = false

  validation {
    condition     = floor(var.snapshot_retention_hours) == var.snapshot_retention_hours && var.snapshot_retention_hours >= 0 && var.snapshot_retention_hours <= 8760
    error_message = "snapshot_retention_hours must be a whole number of hours from 0 to 8760 (a year), for example 24."
  }
}

variable "orphan_retention_days" {
  description = "Days that the snapshots of a parked instance are kept after it was terminated, if their volume would have been deleted with it (DeleteOnTermination). The others are kept until somebody deletes them. Both are reported."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = floor(var.orphan_retention_days) == var.orphan_retention_days && var.orphan_retention_days >= 1 && var.orphan_retention_days <= 3650
    error_message = "orphan_retention_days must be a whole number of days from 1 to 3650, for example 30."
  }
}

variable "volume_initialization_rate" {
  description = "MiB/s at which EC2 loads restored volumes from their snapshots, from 100 to 300; EC2 charges for each GiB. 0: blocks load when they are first read, which is slow and free. The tag park-volumes:initialization-rate on an instance overrides it. If EC2 refuses the rate, the volumes are created without it."
  type        = number
  default     = 0
  nullable    = false

  validation {
    condition     = floor(var.volume_initialization_rate) == var.volume_initialization_rate && (var.volume_initialization_rate == 0 || (var.volume_initialization_rate >= 100 && var.volume_initialization_rate <= 300))
    error_message = "volume_initialization_rate must be 0 or a whole number of MiB/s from 100 to 300, for example 200."
  }
}

variable "archive_after_days" {
  description = "Days after which the snapshots of a parked instance move to the archive tier, at a quarter of the price. A start then takes up to 72 hours and continues by itself. Snapshots are archived only where prices are known and the archive is cheaper even for its minimum of 90 days. 0: never."
  type        = number
  default     = 0
  nullable    = false

  validation {
    condition     = floor(var.archive_after_days) == var.archive_after_days && var.archive_after_days >= 0 && var.archive_after_days <= 3650
    error_message = "archive_after_days must be a whole number of days from 0 to 3650, for example 60."
  }
}

variable "recycle_bin_days" {
  description = "Days that the Recycle Bin keeps deleted snapshots of this deployment, whoever deleted them. They cost what they cost before. The rule is for the region of the deployment; in other regions modules/region creates it. 0: there is no rule for them."
  type        = number
  default     = 0
  nullable    = false

  validation {
    condition     = floor(var.recycle_bin_days) == var.recycle_bin_days && var.recycle_bin_days >= 0 && var.recycle_bin_days <= 365
    error_message = "recycle_bin_days must be a whole number of days from 0 to 365, for example 7."
  }
}

variable "lock_snapshots" {
  description = "Lock the snapshots of parked instances (governance mode, free of charge), so that nothing else in the account deletes the only copy of the data."
  type        = bool
  default     = true
  nullable    = false
}

variable "allowed_product_codes" {
  description = "AWS Marketplace product codes whose instances are parked all the same. A volume with a product code may never attach to an instance again, so list only those that you have tried."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for code in var.allowed_product_codes : can(regex("^[0-9a-z]{8,40}$", code))])
    error_message = "allowed_product_codes must hold product codes of 8 to 40 lower-case letters and digits, as aws ec2 describe-instances shows them, for example [\"abcdefghijklmnopqrstuvwxy\"]."
  }

  validation {
    condition     = length(var.allowed_product_codes) <= 20
    error_message = "allowed_product_codes must hold at most 20 product codes, for example one: they are part of the function's environment, which AWS limits to 4 KB."
  }
}

variable "park_even_if_dearer" {
  description = "Also park instances whose snapshots could cost more than their volumes (sc1, st1) if every block were written. If false, they are refused with the figures, where the prices of the region are known."
  type        = bool
  default     = false
  nullable    = false
}

variable "prices" {
  description = "Your own prices for the region of the deployment, in USD a month, instead of those that the module knows (us-east-1 and ap-northeast-2; in other regions it cannot say what is saved): per GiB of a volume type (gp3, gp2, io1, io2, st1, sc1, standard), per IOPS (gp3-iops above 3,000, io1-iops, io2-iops), per MiB/s above 125 (gp3-throughput), per GiB of written blocks (snapshot, archive), and per GiB brought back from the archive (archive-restore)."
  type        = map(number)
  default     = {}
  nullable    = false

  validation {
    condition = alltrue([
      for name, price in var.prices : price >= 0 && price <= 100 && contains(
        ["gp3", "gp3-iops", "gp3-throughput", "gp2", "io1", "io1-iops", "io2", "io2-iops", "st1", "sc1", "standard", "snapshot", "archive", "archive-restore"],
        name
      )
    ])
    error_message = "prices must be USD a month from 0 to 100 under the names gp3, gp3-iops, gp3-throughput, gp2, io1, io1-iops, io2, io2-iops, st1, sc1, standard, snapshot, archive and archive-restore, for example { gp3 = 0.0912, snapshot = 0.05 }."
  }
}

variable "quiet_period_seconds" {
  description = "Seconds between detaching the root volume and deleting anything. It must be longer than a function can run plus the time that EC2's descriptions may lag."
  type        = number
  default     = 120
  nullable    = false

  validation {
    condition     = floor(var.quiet_period_seconds) == var.quiet_period_seconds
    error_message = "quiet_period_seconds must be a whole number of seconds, for example 120."
  }

  validation {
    condition     = var.quiet_period_seconds >= var.function_timeout_seconds + 45
    error_message = "quiet_period_seconds must be at least function_timeout_seconds plus 45, for example 120 with a time-out of 60: every pass that looked before the root volume was detached has to be over, and EC2's descriptions may lag."
  }

  validation {
    condition     = var.quiet_period_seconds + var.function_timeout_seconds <= 900
    error_message = "quiet_period_seconds and function_timeout_seconds must together be at most 900 seconds, the longest delay of an SQS message, for example 120 and 60."
  }
}

variable "function_timeout_seconds" {
  description = "Seconds after which Lambda ends a run of either function. The next event or sweep continues what was left."
  type        = number
  default     = 60
  nullable    = false

  validation {
    condition     = floor(var.function_timeout_seconds) == var.function_timeout_seconds && var.function_timeout_seconds >= 10 && var.function_timeout_seconds <= 420
    error_message = "function_timeout_seconds must be a whole number of seconds from 10 to 420, for example 60."
  }
}

variable "sweep_interval_minutes" {
  description = "Minutes between two sweeps: scheduled runs that look at every opted-in or parked instance and repair whatever an event missed."
  type        = number
  default     = 5
  nullable    = false

  validation {
    condition     = floor(var.sweep_interval_minutes) == var.sweep_interval_minutes && var.sweep_interval_minutes >= 1 && var.sweep_interval_minutes <= 60
    error_message = "sweep_interval_minutes must be a whole number of minutes from 1 to 60, for example 5."
  }
}

variable "log_retention_days" {
  description = "Days that CloudWatch Logs keeps the logs of the functions."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition = contains(
      [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653],
      var.log_retention_days
    )
    error_message = "log_retention_days must be a number of days that CloudWatch Logs knows: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653, for example 30."
  }
}

variable "log_kms_key_arn" {
  description = "ARN of a customer managed KMS key that encrypts the log groups of the functions. Its policy must allow CloudWatch Logs of this region to use it for them. Null: CloudWatch Logs uses its own key."
  type        = string
  default     = null

  validation {
    condition     = var.log_kms_key_arn == null || can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", var.log_kms_key_arn))
    error_message = "log_kms_key_arn must be the ARN of a key, not of an alias, for example \"arn:aws:kms:ap-northeast-2:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab\"; for none, it must be null, not \"\"."
  }
}

variable "log_level" {
  description = "Lowest level that the functions log: DEBUG, INFO, WARNING or ERROR. INFO logs every decision with its reason. Metrics are logged at every level."
  type        = string
  default     = "INFO"
  nullable    = false

  validation {
    condition     = contains(["DEBUG", "INFO", "WARNING", "ERROR"], var.log_level)
    error_message = "log_level must be \"DEBUG\", \"INFO\", \"WARNING\" or \"ERROR\", for example \"INFO\"."
  }
}

variable "notification_topic_arn" {
  description = "ARN of an SNS topic that gets a readable message whenever an instance was parked, started, refused, failed, or left snapshots behind. If the topic is in another account, its policy, and that of its key, must allow the roles of both functions to publish. Null: only events on the default bus."
  type        = string
  default     = null

  validation {
    condition     = var.notification_topic_arn == null || can(regex("^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}$", var.notification_topic_arn))
    error_message = "notification_topic_arn must be the ARN of a standard SNS topic, for example \"arn:aws:sns:ap-northeast-2:123456789012:park-volumes\"; for none, it must be null, not \"\"."
  }
}

variable "alarm_topic_arns" {
  description = "ARNs of SNS topics, in the region of the deployment, that the alarms notify when something is wrong, and when it is over: messages in the dead-letter queue, errors and throttles of the functions, an instance in transit for too long, a start that takes more than 15 minutes, sweeps that do not run. Empty: no alarms."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.alarm_topic_arns : can(regex("^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}$", arn))])
    error_message = "alarm_topic_arns must be ARNs of standard SNS topics, for example [\"arn:aws:sns:ap-northeast-2:123456789012:on-call\"]."
  }

  validation {
    condition     = length(var.alarm_topic_arns) <= 5
    error_message = "alarm_topic_arns must be at most 5 ARNs, the most actions that an alarm takes, for example [\"arn:aws:sns:ap-northeast-2:123456789012:on-call\"]."
  }
}

variable "alarms" {
  description = "Whether to create the alarms. Null: only if alarm_topic_arns is not empty. Set it to true if Terraform knows that list only after the apply, as with compact([...]) of topics created in the same apply."
  type        = bool
  default     = null
}

variable "transit_alarm_hours" {
  description = "Hours that volumes of an instance may be in transit, neither parked nor whole, before the alarm goes off."
  type        = number
  default     = 6
  nullable    = false

  validation {
    condition     = floor(var.transit_alarm_hours) == var.transit_alarm_hours && var.transit_alarm_hours >= 1 && var.transit_alarm_hours <= 720
    error_message = "transit_alarm_hours must be a whole number of hours from 1 to 720 (30 days), for example 6."
  }
}

variable "dashboard" {
  description = "Create a CloudWatch dashboard with the metrics of docs/events.md, in the region of the deployment. It shows all regions together. The first three dashboards of an account are free."
  type        = bool
  default     = false
  nullable    = false
}

variable "kms_key_arns" {
  description = "ARNs of the customer managed KMS keys that encrypt volumes. Empty: any key of this account in the regions of the deployment. Either way the roles can use the keys only through EC2."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition = alltrue([
      for arn in var.kms_key_arns : can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", arn))
    ])
    error_message = "kms_key_arns must be ARNs of keys, not of aliases, for example [\"arn:aws:kms:ap-northeast-2:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab\"]."
  }
}

variable "role_path" {
  description = "IAM path of the roles of both functions, if your organisation requires one. Changing it recreates the roles with other ARNs."
  type        = string
  default     = "/"
  nullable    = false

  validation {
    condition     = can(regex("^/([A-Za-z0-9+=,.@_-]+/)*$", var.role_path)) && length(var.role_path) <= 512
    error_message = "role_path must begin and end with a slash and have at most 512 letters, digits and + = , . @ _ - between its slashes, for example \"/team/storage/\"."
  }
}

variable "permissions_boundary_arn" {
  description = "ARN of a policy that limits the permissions of both functions' roles. Null: no boundary."
  type        = string
  default     = null

  validation {
    condition     = var.permissions_boundary_arn == null || can(regex("^arn:aws[a-z-]*:iam::([0-9]{12}|aws):policy/[A-Za-z0-9+=,.@_/-]+$", var.permissions_boundary_arn))
    error_message = "permissions_boundary_arn must be the ARN of an IAM policy, for example \"arn:aws:iam::123456789012:policy/boundary\"; for none, it must be null, not \"\"."
  }
}

variable "powertools_layer_arn" {
  description = "ARN of the layer version with Powertools for AWS Lambda (Python) v3. Null: the public layer of the region, which exists in every region of the aws partition."
  type        = string
  default     = null

  validation {
    condition     = var.powertools_layer_arn == null || can(regex("^arn:aws[a-z-]*:lambda:[a-z0-9-]+:[0-9]{12}:layer:[A-Za-z0-9_-]+:[0-9]+$", var.powertools_layer_arn))
    error_message = "powertools_layer_arn must be the ARN of a layer version, for example \"arn:aws:lambda:ap-northeast-2:017000801446:layer:AWSLambdaPowertoolsPythonV3-python313-arm64:27\"; for none, it must be null, not \"\"."
  }
}

variable "lambda_architecture" {
  description = "Instruction set of both functions. The package is pure Python: arm64 costs less, and x86_64 is for regions and organisations without it."
  type        = string
  default     = "arm64"
  nullable    = false

  validation {
    condition     = contains(["arm64", "x86_64"], var.lambda_architecture)
    error_message = "lambda_architecture must be \"arm64\" or \"x86_64\", for example \"arm64\"."
  }
}

variable "park_memory_size" {
  description = "Memory of the park function in MB. Lambda gives CPU in proportion."
  type        = number
  default     = 512
  nullable    = false

  validation {
    condition     = floor(var.park_memory_size) == var.park_memory_size && var.park_memory_size >= 128 && var.park_memory_size <= 10240
    error_message = "park_memory_size must be a whole number of MB from 128 to 10240, for example 512."
  }
}

variable "start_memory_size" {
  description = "Memory of the start function in MB. Lambda gives CPU in proportion, and somebody may be waiting for this function."
  type        = number
  default     = 512
  nullable    = false

  validation {
    condition     = floor(var.start_memory_size) == var.start_memory_size && var.start_memory_size >= 128 && var.start_memory_size <= 10240
    error_message = "start_memory_size must be a whole number of MB from 128 to 10240, for example 512."
  }
}

variable "start_reserved_concurrency" {
  description = "Executions reserved for the start function, which are also its maximum. However many starts are requested at once, they are then handled in turn and leave the account's other executions alone. 10 is enough for thousands of instances, and needed from about 1,000 starts in the same minute. 0: none reserved. A new account has none to reserve."
  type        = number
  default     = 0
  nullable    = false

  validation {
    condition     = var.start_reserved_concurrency == 0 || (floor(var.start_reserved_concurrency) == var.start_reserved_concurrency && var.start_reserved_concurrency >= 5 && var.start_reserved_concurrency <= 1000)
    error_message = "start_reserved_concurrency must be 0, for none, or a whole number from 5 to 1000, for example 10."
  }
}

variable "park_maximum_concurrency" {
  description = "Most park functions that the queue may run at once. It limits them without reserving any of the account's concurrency. 2 is the least that Lambda accepts."
  type        = number
  default     = 2
  nullable    = false

  validation {
    condition     = floor(var.park_maximum_concurrency) == var.park_maximum_concurrency && var.park_maximum_concurrency >= 2 && var.park_maximum_concurrency <= 1000
    error_message = "park_maximum_concurrency must be a whole number from 2 to 1000, for example 2."
  }
}
