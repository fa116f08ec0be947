/** What the doctor found, as text or as JSON. */
import type { Finding, Status } from "./checks/finding.ts";

const words: Readonly<Record<Status, string>> = { pass: "ok", warn: "warn", fail: "FAIL", skip: "skip" };

/** No text of `secrets` is in what this returns. */
export function asText(found: readonly Finding[], secrets: readonly string[]): string {
  const width = Math.max(0, ...found.map(({ name }) => name.length));
  const lines = found.flatMap(({ name, status, sentence, advice }) => [
    `${words[status].padEnd(5)} ${name.padEnd(width)} ${sentence}`,
    ...(advice === undefined ? [] : [`${" ".repeat(7 + width)}→ ${advice}`]),
  ]);
  const count = (status: Status): number => found.filter((one) => one.status === status).length;
  const skipped = count("skip") > 0 ? `, ${count("skip")} not looked at` : "";
  lines.push(
    "",
    `${count("fail")} failed, ${count("warn")} ${count("warn") === 1 ? "warning" : "warnings"}, ${count("pass")} well${skipped}.`,
  );
  return `${without(lines.join("\n"), secrets)}\n`;
}

export function asJson(found: readonly Finding[], secrets: readonly string[]): string {
  const worst = (["fail", "warn"] as const).find((status) => found.some((one) => one.status === status)) ?? "pass";
  return `${without(JSON.stringify({ status: worst, checks: found }, null, 2), secrets)}\n`;
}

function without(text: string, secrets: readonly string[]): string {
  return secrets.reduce(
    (shown, secret) => shown.replaceAll(secret, "…").replaceAll(JSON.stringify(secret).slice(1, -1), "…"),
    text,
  );
}
