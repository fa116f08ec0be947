/** What the stand-alone broker is told; `config.ts` reads it from flags, environment and file. */
export interface BrokerConfig {
  /** Absolute, and there; `credentials.json` in it is written by the manager and by `worker:add`. */
  readonly dataDir: string;
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly prefix: string;
  readonly logLevel: string;
  /** Null: plain MQTT. */
  readonly tls: BrokerTls | null;
}

/** What the broker shows its clients, PEM. */
export interface BrokerTls {
  readonly cert: string;
  readonly key: string;
  /** Clients must show a certificate that this authority signed, beside their password. */
  readonly ca?: string;
}
