/**
 * What OpenTelemetry's standard variables say about tracing. Only what must be known before the SDK is loaded is read here;
 * the rest (endpoint, headers, certificates, protocol, sampler, span limits) the SDK reads itself, by the same names.
 * Source: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
 */
export interface TracingSettings {
  /** Of the resource, whose spans they are: `service.name`, `service.version`, `service.instance.id`, and the operator's own. */
  readonly resource: Readonly<Record<string, string>>;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Null: no spans are made, and the SDK is not loaded. `own` is what the operator's variables may replace. */
export function readTracing(env: Environment, own: Readonly<Record<string, string>>): TracingSettings | null {
  const endpoint = given(env, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") ?? given(env, "OTEL_EXPORTER_OTLP_ENDPOINT");
  if (endpoint === undefined) return null;
  if (given(env, "OTEL_SDK_DISABLED")?.toLowerCase() === "true") return null;
  if (given(env, "OTEL_TRACES_EXPORTER")?.toLowerCase() === "none") return null;
  const name = given(env, "OTEL_SERVICE_NAME");
  return {
    resource: {
      ...own,
      ...resourceAttributes(given(env, "OTEL_RESOURCE_ATTRIBUTES")),
      ...(name === undefined ? {} : { "service.name": name }),
    },
  };
}

/** An empty variable counts as unset, as the specification says. */
function given(env: Environment, name: string): string | undefined {
  const text = env[name]?.trim();
  return text === undefined || text === "" ? undefined : text;
}

/** `key=value,key=value`, both percent-encoded. One that cannot be read makes all of them void, as the specification says. */
function resourceAttributes(text: string | undefined): Record<string, string> {
  const found: Record<string, string> = {};
  try {
    for (const pair of text?.split(",") ?? []) {
      if (pair.trim() === "") continue;
      const mark = pair.indexOf("=");
      const key = decodeURIComponent(pair.slice(0, Math.max(0, mark)).trim());
      if (key === "") return {};
      found[key] = decodeURIComponent(pair.slice(mark + 1).trim());
    }
  } catch {
    return {};
  }
  return found;
}
