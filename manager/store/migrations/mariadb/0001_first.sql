-- Statements of definition commit by themselves in MariaDB, so each may find its table made by a start that was cut short.

CREATE TABLE IF NOT EXISTS `leases` (
  `pool` VARCHAR(36) NOT NULL,
  `holder` VARCHAR(500) NOT NULL,
  `term` BIGINT NOT NULL,
  `batch` BIGINT NOT NULL,
  `beat` BIGINT NOT NULL,
  PRIMARY KEY (`pool`)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS `tasks` (
  `id` VARCHAR(36) NOT NULL,
  `pool` VARCHAR(36) NOT NULL,
  `created_at` BIGINT NOT NULL,
  `name` VARCHAR(128) NOT NULL,
  `version` BIGINT NOT NULL,
  `kind` VARCHAR(36) NOT NULL,
  `updated_at` BIGINT NOT NULL,
  `deleted` BOOLEAN NOT NULL,
  `live_name` VARCHAR(128) GENERATED ALWAYS AS (CASE WHEN `deleted` = 0 THEN `name` END) VIRTUAL,
  `labels` MEDIUMTEXT NOT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `tasks_name` (`pool`, `live_name`),
  KEY `tasks_by_name` (`live_name`, `created_at`, `id`),
  KEY `tasks_by_pool` (`deleted`, `pool`, `created_at`, `id`),
  KEY `tasks_by_time` (`deleted`, `created_at`, `id`)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS `task_labels` (
  `label` VARCHAR(319) NOT NULL,
  `created_at` BIGINT NOT NULL,
  `task_id` VARCHAR(36) NOT NULL,
  PRIMARY KEY (`label`, `created_at`, `task_id`),
  KEY `task_labels_task` (`task_id`)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS `task_versions` (
  `task_id` VARCHAR(36) NOT NULL,
  `version` BIGINT NOT NULL,
  `body` MEDIUMTEXT,
  `script` MEDIUMTEXT,
  `created_at` BIGINT NOT NULL,
  `asked_by` VARCHAR(500) NOT NULL,
  `by_reason` VARCHAR(500),
  `definition` MEDIUMTEXT NOT NULL,
  PRIMARY KEY (`task_id`, `version`)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS `runs` (
  `id` VARCHAR(36) NOT NULL,
  `pool` VARCHAR(36) NOT NULL,
  `run_order` BIGINT NOT NULL,
  `created_at` BIGINT NOT NULL,
  `state` VARCHAR(36) NOT NULL,
  `task_id` VARCHAR(36) NOT NULL,
  `worker_id` VARCHAR(36),
  `task_version` BIGINT NOT NULL,
  `task_name` VARCHAR(128) NOT NULL,
  `wanted_worker_id` VARCHAR(36),
  `started_at` BIGINT,
  `ended_at` BIGINT,
  `placements` BIGINT NOT NULL,
  `tries` BIGINT NOT NULL,
  `asked_by` VARCHAR(500) NOT NULL,
  `by_reason` VARCHAR(500),
  `rerun_of` VARCHAR(36),
  `trace` VARCHAR(500) NOT NULL,
  `how_ended` MEDIUMTEXT,
  `stop` MEDIUMTEXT,
  `progress` MEDIUMTEXT,
  `result_body` MEDIUMTEXT,
  `labels` MEDIUMTEXT NOT NULL,
  `params` MEDIUMTEXT NOT NULL,
  `result` MEDIUMTEXT,
  PRIMARY KEY (`id`),
  KEY `runs_queue` (`pool`, `state`, `run_order`),
  KEY `runs_by_state` (`state`, `created_at`, `run_order`, `pool`),
  KEY `runs_by_task` (`task_id`, `state`, `created_at`, `run_order`, `pool`),
  KEY `runs_by_worker` (`worker_id`, `created_at`, `run_order`, `pool`)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS `run_labels` (
  `label` VARCHAR(319) NOT NULL,
  `created_at` BIGINT NOT NULL,
  `run_order` BIGINT NOT NULL,
  `pool` VARCHAR(36) NOT NULL,
  `run_id` VARCHAR(36) NOT NULL,
  PRIMARY KEY (`label`, `created_at`, `run_order`, `pool`)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS `attempts` (
  `id` VARCHAR(36) NOT NULL,
  `run_id` VARCHAR(36) NOT NULL,
  `task_id` VARCHAR(36) NOT NULL,
  `pool` VARCHAR(36) NOT NULL,
  `number` BIGINT NOT NULL,
  `worker_id` VARCHAR(36) NOT NULL,
  `epoch` VARCHAR(64) NOT NULL,
  `sent_at` BIGINT NOT NULL,
  `state` VARCHAR(36) NOT NULL,
  `started_at` BIGINT,
  `ended_at` BIGINT,
  `pid` BIGINT,
  `how_ended` MEDIUMTEXT,
  PRIMARY KEY (`id`),
  UNIQUE KEY `attempts_run` (`run_id`, `number`),
  KEY `attempts_open` (`pool`, `state`)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS `workers` (
  `id` VARCHAR(36) NOT NULL,
  `pool` VARCHAR(36) NOT NULL,
  `created_at` BIGINT NOT NULL,
  `epoch` VARCHAR(64),
  `connection` BIGINT NOT NULL,
  `draining` BOOLEAN NOT NULL,
  `survives` BOOLEAN,
  `http` BOOLEAN,
  `state` VARCHAR(36) NOT NULL,
  `state_since` BIGINT NOT NULL,
  `last_seen_at` BIGINT,
  `capacity` MEDIUMTEXT,
  `facts` MEDIUMTEXT,
  `own_labels` MEDIUMTEXT NOT NULL,
  `api_labels` MEDIUMTEXT NOT NULL,
  PRIMARY KEY (`id`),
  KEY `workers_by_pool` (`pool`, `id`),
  KEY `workers_by_state` (`state`, `id`)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS `worker_labels` (
  `label` VARCHAR(319) NOT NULL,
  `given_by` VARCHAR(8) NOT NULL,
  `worker_id` VARCHAR(36) NOT NULL,
  PRIMARY KEY (`label`, `given_by`, `worker_id`),
  KEY `worker_labels_worker` (`worker_id`, `given_by`)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS `journals` (
  `worker_id` VARCHAR(36) NOT NULL,
  `journal` VARCHAR(36) NOT NULL,
  `applied` BIGINT NOT NULL,
  PRIMARY KEY (`worker_id`, `journal`)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS `events` (
  `pool` VARCHAR(36) NOT NULL,
  `number` BIGINT NOT NULL,
  `at` BIGINT NOT NULL,
  `kind` VARCHAR(36) NOT NULL,
  `task_id` VARCHAR(36),
  `run_id` VARCHAR(36),
  `attempt_id` VARCHAR(36),
  `worker_id` VARCHAR(36),
  `asked_by` VARCHAR(500),
  `data` MEDIUMTEXT NOT NULL,
  PRIMARY KEY (`pool`, `number`),
  KEY `events_by_run` (`run_id`, `pool`, `number`),
  KEY `events_by_task` (`task_id`, `pool`, `number`, `kind`),
  KEY `events_by_worker` (`worker_id`, `pool`, `number`, `kind`),
  KEY `events_by_kind` (`kind`, `pool`, `number`)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS `idempotency_keys` (
  `task_id` VARCHAR(36) NOT NULL,
  `idempotency_key` VARCHAR(128) NOT NULL,
  `body_hash` VARCHAR(64) NOT NULL,
  `run_id` VARCHAR(36) NOT NULL,
  `at` BIGINT NOT NULL,
  PRIMARY KEY (`task_id`, `idempotency_key`),
  KEY `idempotency_keys_by_time` (`at`)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS `set_aside` (
  `id` VARCHAR(36) NOT NULL,
  `pool` VARCHAR(36) NOT NULL,
  `at` BIGINT NOT NULL,
  `source` VARCHAR(500) NOT NULL,
  `why` TEXT NOT NULL,
  `raw` MEDIUMTEXT NOT NULL,
  PRIMARY KEY (`id`),
  KEY `set_aside_by_time` (`at`, `id`)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS `bodies` (
  `sha256` VARCHAR(64) NOT NULL,
  `part` BIGINT NOT NULL,
  `bytes` LONGBLOB NOT NULL,
  PRIMARY KEY (`sha256`, `part`)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS `secrets` (
  `name` VARCHAR(128) NOT NULL,
  `value` LONGBLOB NOT NULL,
  PRIMARY KEY (`name`)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;
