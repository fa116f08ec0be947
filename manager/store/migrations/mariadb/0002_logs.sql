-- Output of attempts: a stream's end in one row, what is kept of it in chunks that follow each other.

CREATE TABLE IF NOT EXISTS `log_streams` (
  `attempt_id` VARCHAR(36) NOT NULL,
  `stream` VARCHAR(6) NOT NULL,
  `end` BIGINT NOT NULL,
  `kept` BIGINT NOT NULL,
  `gaps` BIGINT NOT NULL,
  `last` BIGINT NOT NULL,
  PRIMARY KEY (`attempt_id`, `stream`)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS `log_chunks` (
  `attempt_id` VARCHAR(36) NOT NULL,
  `stream` VARCHAR(6) NOT NULL,
  `offset` BIGINT NOT NULL,
  `length` BIGINT NOT NULL,
  `why` VARCHAR(500),
  `bytes` LONGBLOB,
  PRIMARY KEY (`attempt_id`, `stream`, `offset`)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;
