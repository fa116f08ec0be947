/** The alerts and the dashboard that are given away: right by Prometheus' own tool, and about metrics that there are. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { managerMetrics, metrics, processMetrics, workerMetrics } from "../../scripts/generate/metrics.ts";
import { deployed, divided, fasterRules, noPrometheus, promtool } from "../kit/prometheus.ts";

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

const root = resolve(import.meta.dirname, "../..");
const read = (file: string): string => readFileSync(join(root, file), "utf8");
const alerts = read("deploy/prometheus/alerts.yml");
const rules = (parse(alerts) as { groups: { rules: Rule[] }[] }).groups.flatMap((group) => group.rules);

const folder = mkdtempSync(join(tmpdir(), "muster-rules-"));
afterAll(() => rmSync(folder, { recursive: true }));

const specs = [...managerMetrics(), ...workerMetrics(), ...processMetrics()];

/** Series that a query may name: a histogram has three, and Prometheus itself adds `up` and `ALERTS`. */
const series = new Set([
  "up",
  ...specs.flatMap(({ name, type }) =>
    type === "histogram" ? ["_bucket", "_sum", "_count"].map((end) => `${name}${end}`) : [name],
  ),
]);

/** The metrics that an expression names. */
function namedIn(expr: string): string[] {
  const bare = expr.replaceAll(/"[^"]*"/g, '""').replaceAll(/\b(?:by|without|on|ignoring)\s*\([^)]*\)/g, "");
  return Array.from(bare.matchAll(/\b(?:(?:muster|nodejs|process)_\w+|up)\b/g), ([name]) => name);
}

/** Every label that an expression selects by, with its metric. */
function selectedIn(expr: string): { readonly metric: string; readonly label: string }[] {
  return Array.from(expr.matchAll(/(\w+)\{([^}]*)\}/g)).flatMap(([, metric = "", inner = ""]) =>
    Array.from(inner.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g), ([, label = ""]) => ({ metric, label })),
  );
}

function expectKnown(expr: string): void {
  expect(namedIn(expr).length, expr).toBeGreaterThan(0);
  for (const name of namedIn(expr)) expect(series, `${name} in ${expr}`).toContain(name);
  for (const { metric, label } of selectedIn(expr)) {
    const spec = specs.find(({ name }) => metric === name || metric.replace(/_(bucket|sum|count)$/, "") === name);
    expect([...(spec?.labels ?? []), "job", "instance"], `${label} of ${metric}`).toContain(label);
  }
}

test("docs/metrics.md is what the registries say", async () => {
  expect(await metrics.make("")).toBe(read("docs/metrics.md"));
  expect(new Set(specs.map(({ name }) => name)).size).toBe(specs.length - 1); // muster_build_info is both parts'.
  for (const { name, type, help } of specs) {
    expect(help).not.toBe("");
    expect(name.endsWith("_total"), name).toBe(type === "counter");
  }
});

describe.skipIf(noPrometheus)(`by promtool${noPrometheus ? ` (skipped: ${noPrometheus})` : ""}`, () => {
  test("the configuration and the rules are right, and their tests pass", { timeout: 60_000 }, () => {
    cpSync(deployed, folder, { recursive: true });
    writeFileSync(join(folder, "muster.token"), "token\n");
    for (const args of [
      ["check", "config", join(folder, "prometheus.yml")],
      ["check", "rules", join(folder, "alerts.yml")],
      ["test", "rules", join(folder, "alerts.test.yml")],
    ])
      expect(promtool(args)).toMatchObject({ ok: true });
  });

  test("their tests notice of each alert when it never fires", { timeout: 60_000 }, () => {
    cpSync(deployed, folder, { recursive: true });
    writeFileSync(join(folder, "alerts.yml"), alerts.replaceAll(/(- alert: \w+)/g, "$1Mute"));
    const { ok, said } = promtool(["test", "rules", join(folder, "alerts.test.yml")]);
    expect(ok).toBe(false);
    for (const { alert } of rules) expect(said).toContain(alert);
  });

  test("the rules of the faster clock are right as well", () => {
    writeFileSync(join(folder, "faster.yml"), fasterRules(alerts, 25));
    expect(promtool(["check", "rules", join(folder, "faster.yml")])).toMatchObject({ ok: true });
  });
});

test("durations are divided, and nothing else of the rules is touched", () => {
  expect([divided("1m", 25), divided("1m45s", 10), divided("600ms", 2)]).toEqual(["2400ms", "10500ms", "300ms"]);
  const blank = (text: string): string => text.replaceAll(/(?<=for: )\S+|(?<=\[)[^\]]+(?=\])/g, "…");
  expect(blank(fasterRules(alerts, 25))).toBe(blank(alerts));
  expect(fasterRules(alerts, 25)).not.toMatch(/for: \d+[smh]$/m);
});

test("each alert asks for metrics that there are, says what is wrong and what to do, and leads to a section of the docs", () => {
  const headings = new Set(
    Array.from(read("docs/operations.md").matchAll(/^#+ (.+)$/gm), ([, title = ""]) =>
      title
        .toLowerCase()
        .replaceAll(/[^a-z0-9 -]/g, "")
        .replaceAll(" ", "-"),
    ),
  );
  expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length);
  for (const { alert, expr, labels, annotations } of rules) {
    expectKnown(expr);
    expect(["warning", "critical"]).toContain(labels["severity"]);
    expect(annotations["summary"], alert).toMatch(/^[A-Z{].+\.$/);
    expect(annotations["description"]?.length, alert).toBeGreaterThan(40);
    const [page, section = ""] = (annotations["runbook"] ?? "").split("#");
    expect(page, alert).toBe("docs/operations.md");
    expect(headings, alert).toContain(section);
  }
});

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: { readonly h: number; readonly w: number; readonly x: number; readonly y: number };
  readonly datasource?: { readonly uid: string };
  readonly targets?: readonly { readonly refId: string; readonly expr: string; readonly datasource: { readonly uid: string } }[];
}

interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly schemaVersion: number;
  readonly panels: readonly Panel[];
  readonly annotations: { readonly list: readonly { readonly expr: string }[] };
  readonly templating: {
    readonly list: readonly { readonly name: string; readonly type: string; readonly definition?: string }[];
  };
}

describe("the dashboard", () => {
  const text = read("deploy/grafana/muster.json");
  const dashboard = JSON.parse(text) as Dashboard;
  const expressions = dashboard.panels.flatMap(({ targets }) => (targets ?? []).map(({ expr }) => expr));

  test("asks for metrics and labels that there are", () => {
    for (const expr of expressions) expectKnown(expr);
    for (const { expr } of dashboard.annotations.list) expectKnown(expr);
    for (const { type, definition } of dashboard.templating.list) if (type === "query") expectKnown(definition ?? "");
  });

  test("defines every variable that it uses, and uses every one that it defines", () => {
    const known = dashboard.templating.list.map(({ name }) => name);
    const used = new Set(
      Array.from(text.matchAll(/\$\{?(\w+)\}?/g), ([, name = ""]) => name).filter((name) => !name.startsWith("__")),
    );
    expect([...used].toSorted()).toEqual(known.toSorted());
  });

  test("shows the operator's questions: what runs, what waits, how it ends, latency, commits, workers, messages, the process", () => {
    for (const metric of [
      "muster_runs",
      "muster_queue_runs",
      "muster_queue_oldest_age_seconds",
      "muster_runs_ended_total",
      "muster_run_duration_seconds_bucket",
      "muster_commit_duration_seconds_bucket",
      "muster_workers",
      "muster_messages_total",
      "muster_http_requests_total",
      "process_resident_memory_bytes",
      "nodejs_eventloop_lag_p99_seconds",
    ])
      expect(
        expressions.some((expr) => namedIn(expr).includes(metric)),
        metric,
      ).toBe(true);
  });

  test("has panels with ids and places of their own, each with its query on the chosen Prometheus", () => {
    const { panels } = dashboard;
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    const taken = new Set<string>();
    for (const { title, type, gridPos, targets, datasource } of panels) {
      expect(gridPos.x + gridPos.w, title).toBeLessThanOrEqual(24);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1)
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
          expect(taken, `${title} lies over another panel`).not.toContain(`${x},${y}`);
          taken.add(`${x},${y}`);
        }
      if (type === "row") continue;
      expect(datasource?.uid, title).toBe("${datasource}");
      expect(targets?.length, title).toBeGreaterThan(0);
      for (const target of targets ?? []) expect(target.datasource.uid).toBe("${datasource}");
      expect(new Set(targets?.map(({ refId }) => refId)).size).toBe(targets?.length);
    }
  });

  test.skipIf(noPrometheus)("has expressions that Prometheus can read", () => {
    const asked = expressions.map((expr) => expr.replaceAll("$__rate_interval", "1m").replaceAll(/\$\w+/g, ".*"));
    const group = { groups: [{ name: "g", rules: asked.map((expr, at) => ({ record: `r${at}`, expr })) }] };
    const file = join(folder, "dashboard.yml");
    writeFileSync(file, JSON.stringify(group));
    expect(promtool(["check", "rules", file])).toMatchObject({ ok: true });
  });
});
