import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { Failure, type FailureIssue } from '../kernel/errors.ts';
import type { Kind, SettingDefinition } from './setting-kinds.ts';

import { ACCESS_SETTINGS } from './settings/access-settings.ts';
import { FHIR_SETTINGS } from './settings/fhir-settings.ts';
import { HL7_OPERATION_SETTINGS } from './settings/hl7-operation-settings.ts';
import { HL7_SETTINGS } from './settings/hl7-settings.ts';
import { HTTP_SETTINGS } from './settings/http-settings.ts';
import { MLLP_SETTINGS } from './settings/mllp-settings.ts';
import { MODEL_SETTINGS } from './settings/model-settings.ts';
import { PACS_SETTINGS } from './settings/pacs-settings.ts';
import { PROCESS_SETTINGS } from './settings/process-settings.ts';

/**
 * Every setting Prelim has, a table per area: its kind (which parses and bounds it), its default, and what it means. `docs/configuration.md`
 * lists the same names, and a test compares the two. Nothing else in the project reads `process.env`.
 */
export const SETTINGS = {
  ...HTTP_SETTINGS,
  ...PROCESS_SETTINGS,
  ...MODEL_SETTINGS,
  ...PACS_SETTINGS,
  ...HL7_SETTINGS,
  ...MLLP_SETTINGS,
  ...HL7_OPERATION_SETTINGS,
  ...FHIR_SETTINGS,
  ...ACCESS_SETTINGS,
} as const satisfies Record<string, SettingDefinition>;

export type { WatchHours } from './settings/hl7-operation-settings.ts';

type Value<D> = D extends { kind: Kind<infer T> } ? T : never;
export type Settings = { readonly [N in keyof typeof SETTINGS]: Value<(typeof SETTINGS)[N]> } & {
  /** `BASE_URL`, or what `HOST` and `PORT` make of it; no trailing slash. */
  readonly baseUrl: string;
};

/** Names that start like ours but are none of ours: most often a slip of the pen. */
const OWN_PREFIXES =
  /^(PRELIM|HL7|RIS|DICOMWEB|STUDY|INFERENCE|SITE|SNOMED|SUBSCRIPTION|BULK|FHIR|AUTH|AUDIT|DATABASE|REDIS|PACS|GATE|HTTP_TLS|RATE|FRAME|TRUSTED)_/;

/**
 * Reads all settings from an environment. Throws one `config.invalid` that names every fault at once.
 * A setting `X` may also be given as `X_FILE`, a file holding the value (for secrets).
 */
export function readSettings(env: NodeJS.ProcessEnv = process.env): Settings {
  const faults: FailureIssue[] = [];
  const values: Record<string, unknown> = {};
  for (const [name, definition] of Object.entries<SettingDefinition>(SETTINGS)) {
    try {
      values[name] = definition.kind.parse(rawValue(env, name) ?? definition.default);
    } catch (error) {
      faults.push({ at: name, text: error instanceof Error ? error.message : String(error) });
    }
  }
  for (const name of Object.keys(env)) {
    if (OWN_PREFIXES.test(name) && !(name.replace(/_FILE$/, '') in SETTINGS)) {
      faults.push({ at: name, text: 'is not a setting of Prelim; see docs/configuration.md for the names' });
    }
  }
  if (faults.length > 0) {
    const lines = faults.map((fault) => `  ${fault.at}: ${fault.text}`).join('\n');
    throw new Failure('config.invalid', `The settings have ${faults.length} fault(s):\n${lines}`, {
      issues: faults,
    });
  }
  const host = values['HOST'] === '0.0.0.0' ? '127.0.0.1' : values['HOST'];
  const scheme = values['HTTP_TLS_CERT'] === '' ? 'http' : 'https';
  const baseUrl = (values['BASE_URL'] as URL | null)?.href ?? `${scheme}://${host}:${values['PORT']}`;
  return {
    ...values,
    PRELIM_DATA: resolve(String(values['PRELIM_DATA'])),
    baseUrl: baseUrl.replace(/\/$/, ''),
  } as Settings;
}

function rawValue(env: NodeJS.ProcessEnv, name: string): string | undefined {
  const file = env[`${name}_FILE`];
  if (file === undefined) return env[name];
  if (env[name] !== undefined) throw new Error(`is given twice, as ${name} and as ${name}_FILE; keep one`);
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    throw new Error(`${name}_FILE names a file that cannot be read`);
  }
}
