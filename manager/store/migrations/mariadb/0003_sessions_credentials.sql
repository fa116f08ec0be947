-- Who may come in, the same at every manager: browser sessions, tokens and clients of the broker.

CREATE TABLE IF NOT EXISTS `sessions` (
  `id` VARCHAR(64) NOT NULL,
  `token_hash` VARCHAR(128) NOT NULL,
  `used_at` BIGINT NOT NULL,
  `ends_at` BIGINT NOT NULL,
  PRIMARY KEY (`id`),
  KEY `sessions_by_use` (`used_at`)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS `tokens` (
  `hash` VARCHAR(128) NOT NULL,
  `name` VARCHAR(36) NOT NULL,
  PRIMARY KEY (`hash`)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS `clients` (
  `username` VARCHAR(36) NOT NULL,
  `hash` VARCHAR(500) NOT NULL,
  `pool` VARCHAR(36) NOT NULL,
  `role` VARCHAR(36) NOT NULL,
  PRIMARY KEY (`username`)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS `credential_changes` (
  `id` BIGINT NOT NULL,
  `version` BIGINT NOT NULL,
  PRIMARY KEY (`id`)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

INSERT IGNORE INTO `credential_changes` (`id`, `version`) VALUES (1, 0);

CREATE TABLE IF NOT EXISTS `credential_files` (
  `sha256` VARCHAR(64) NOT NULL,
  PRIMARY KEY (`sha256`)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;
