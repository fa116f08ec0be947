/** A real nginx with the file of deploy/nginx before given ports of this host, and a certificate that is made for it. */
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { Agent, request as httpsRequest } from "node:https";
import { userInfo } from "node:os";
import { join } from "node:path";
import { brokerServer, deployed, serverFolder, whyMissing, type BrokerServer } from "./broker-server.ts";
import { freePorts } from "./ports.ts";

/** Why nginx cannot be tried here; undefined when it can. */
export const nginxMissing = whyMissing("nginx") ?? whyMissing("openssl");

export interface NginxAnswer {
  readonly status: number;
  /** Each header once for every time that it came. */
  readonly headers: readonly (readonly [string, string])[];
  readonly text: string;
  header(name: string): string | undefined;
  json(): any;
}

export interface NginxCall {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

/** A stream while it is read. */
export interface Followed {
  text(): string;
  /** Whether it has ended, or broken. */
  over(): boolean;
  leave(): void;
}

export class Nginx implements AsyncDisposable {
  /** `https://localhost:<port>`. */
  readonly url: string;
  readonly plainPort: number;
  /** The certificate's file, for `NODE_EXTRA_CA_CERTS` and the like. */
  readonly caFile: string;
  readonly #server: BrokerServer;
  readonly #agent: Agent;

  private constructor(server: BrokerServer, port: number, plainPort: number, caFile: string) {
    this.#server = server;
    this.url = `https://localhost:${port}`;
    this.plainPort = plainPort;
    this.caFile = caFile;
    this.#agent = new Agent({ ca: readFileSync(caFile), keepAlive: true });
  }

  /** Before these ports of 127.0.0.1. `fill` changes further texts of the file, such as times; `ports`: for its URL to be known before. */
  static async before(
    upstreams: readonly number[],
    fill: readonly (readonly [string, string])[] = [],
    ports?: readonly number[],
  ): Promise<Nginx> {
    const [port = 0, plainPort = 0] = ports ?? (await freePorts(2));
    const folder = serverFolder("nginx");
    const [cert, key] = [join(folder, "cert.pem"), join(folder, "key.pem")];
    makeCertificate(cert, key);
    const servers = upstreams.map((upstream) => `    server 127.0.0.1:${upstream} max_fails=2 fail_timeout=5s;\n`).join("");
    const site = deployed("nginx/muster.conf", [
      [
        "    server 10.0.0.11:7070 max_fails=2 fail_timeout=5s;\n    server 10.0.0.12:7070 max_fails=2 fail_timeout=5s;\n",
        servers,
      ],
      ["    listen [::]:80;\n", ""],
      ["    listen [::]:443 ssl http2;\n", ""],
      ["listen 80;", `listen 127.0.0.1:${plainPort};`],
      ["listen 443 ssl http2;", `listen 127.0.0.1:${port} ssl http2;`],
      ["muster.example", "localhost"],
      ["/etc/muster/tls/fullchain.pem", cert],
      ["/etc/muster/tls/key.pem", key],
      ["/var/log/nginx/muster.log", join(folder, "access.log")],
      ...fill,
    ]);
    writeFileSync(join(folder, "muster.conf"), site);
    writeFileSync(join(folder, "nginx.conf"), mainConfig(folder));
    const args = ["-p", folder, "-c", join(folder, "nginx.conf"), "-e", join(folder, "error.log")];
    const server = await brokerServer({ program: "nginx", args, folder, port, passwords: new Map() });
    return new Nginx(server, port, plainPort, cert);
  }

  get errorLog(): string {
    return readFileSync(join(this.caFile, "../error.log"), "utf8");
  }

  get accessLog(): string {
    return readFileSync(join(this.caFile, "../access.log"), "utf8");
  }

  /** One request over TLS; the whole answer. */
  call(method: string, path: string, { headers = {}, body }: NginxCall = {}): Promise<NginxAnswer> {
    const length = body === undefined ? {} : { "content-length": String(Buffer.byteLength(body)) };
    return new Promise((resolve, reject) => {
      const options = { method, agent: this.#agent, headers: { ...length, ...headers } };
      const asked = httpsRequest(`${this.url}${path}`, options, (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () => resolve(answerOf(response.statusCode ?? 0, response.rawHeaders, Buffer.concat(chunks))));
      });
      asked.on("error", reject);
      asked.end(body);
    });
  }

  /** Opens a stream; resolves with its answer's head. `text` grows as bytes come. */
  follow(path: string, headers: Readonly<Record<string, string>>): Promise<Followed> {
    return new Promise((resolve, reject) => {
      const asked = httpsRequest(`${this.url}${path}`, { agent: this.#agent, headers }, (response) => {
        let text = "";
        let over = false;
        response.on("close", () => (over = true));
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => (text += chunk));
        response.on("error", () => undefined);
        if (response.statusCode === 200) resolve({ text: () => text, over: () => over, leave: () => void asked.destroy() });
        else reject(new Error(`${path} was answered ${response.statusCode}`));
      });
      asked.on("error", reject);
      asked.end();
    });
  }

  /** One request without TLS, as whoever types no https makes it. */
  plain(path: string): Promise<NginxAnswer> {
    return new Promise((resolve, reject) => {
      const asked = httpRequest(`http://localhost:${this.plainPort}${path}`, (response) => {
        response.resume();
        response.on("end", () => resolve(answerOf(response.statusCode ?? 0, response.rawHeaders, Buffer.alloc(0))));
      });
      asked.on("error", reject);
      asked.end();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#agent.destroy();
    // Killed, it would leave its children behind.
    await this.#server.kill("SIGTERM");
    await this.#server[Symbol.asyncDispose]();
  }
}

function answerOf(status: number, raw: readonly string[], body: Buffer): NginxAnswer {
  const headers = raw.flatMap((name, at) => (at % 2 === 0 ? [[name.toLowerCase(), raw[at + 1] ?? ""] as const] : []));
  const text = body.toString("utf8");
  return {
    status,
    headers,
    text,
    header: (name) => headers.find(([known]) => known === name)?.[1],
    json: () => JSON.parse(text),
  };
}

function makeCertificate(cert: string, key: string): void {
  const kind = "-x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost";
  const name = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
  const made = spawnSync("openssl", ["req", ...kind.split(" "), ...name, "-out", cert, "-keyout", key], { encoding: "utf8" });
  if (made.status !== 0) throw new Error(`openssl made no certificate: ${made.stderr}`);
}

/** What a distribution's nginx.conf has around the file, in a folder of its own. */
function mainConfig(folder: string): string {
  // As root it would become another user, who cannot read this folder.
  const user = process.getuid?.() === 0 ? `user ${userInfo().username};\n` : "";
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((kind) => `${kind}_temp_path ${folder}/${kind};`);
  return `${user}daemon off;\npid ${folder}/pid;\nworker_processes 2;\nevents {}\nhttp {\n${temporary.join("\n")}\naccess_log off;\ninclude ${folder}/muster.conf;\n}\n`;
}
