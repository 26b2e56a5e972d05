import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { Failure, type FailureIssue } from '../kernel/errors.ts';
import { HL7_OPERATION_SETTINGS } from './hl7-operation-settings.ts';
import { MLLP_SETTINGS } from './mllp-settings.ts';
import { type Kind, kinds } from './setting-kinds.ts';

/**
 * Every setting Prelim has: its kind (which parses and bounds it), its default, and what it means. `docs/configuration.md`
 * lists the same names, and a test compares the two. Nothing else in the project reads `process.env`.
 */
export const SETTINGS = {
  PORT: { kind: kinds.port, default: '8080', means: 'HTTP port.' },
  HOST: { kind: kinds.text, default: '127.0.0.1', means: 'Address the HTTP server listens on.' },
  BASE_URL: {
    kind: kinds.optionalUrl(['http:', 'https:']),
    default: '',
    means: 'Address under which others reach this server; used in links. Default: http://HOST:PORT.',
  },
  HTTP_TLS_CERT: {
    kind: kinds.text,
    default: '',
    means:
      'PEM file with the certificate of the HTTP server (with HTTP_TLS_KEY): makes it HTTPS. Read again when it changes.',
  },
  HTTP_TLS_KEY: { kind: kinds.text, default: '', means: 'PEM file with the key of HTTP_TLS_CERT.' },
  HTTP_TLS_CA: {
    kind: kinds.text,
    default: '',
    means:
      'PEM file with the authorities of client certificates: callers without one are refused. Empty: none is asked for.',
  },
  TRUSTED_PROXIES: {
    kind: kinds.networks,
    default: '',
    means:
      'Address ranges of the proxies whose X-Forwarded-For says where a request came from. Empty: the address of the connection.',
  },
  FRAME_ANCESTORS: {
    kind: kinds.origins,
    default: '',
    means:
      'Origins (https://ehr.example, separated by ",") that may show the worklist in a frame. Empty: none.',
  },
  RATE_CLIENT_PER_SECOND: {
    kind: kinds.integer(1, 1_000_000),
    default: '20000',
    means:
      'Requests that one client (and person) may make in a second of one process, on average; twice as many at once.',
  },
  RATE_CLIENT_OPEN_MAX: {
    kind: kinds.integer(1, 100_000),
    default: '256',
    means: 'Requests of one client (and person) that one process works on at the same time.',
  },
  RATE_ADDRESS_PER_SECOND: {
    kind: kinds.integer(1, 1_000_000),
    default: '500',
    means:
      'Requests without a token that one address may make in a second of one process, on average; twice as many at once.',
  },
  RATE_SIGN_IN_PER_MINUTE: {
    kind: kinds.integer(1, 1_000_000),
    default: '300',
    means: 'Requests for tokens, sign-ins and the like that one address may make in a minute of one process.',
  },
  PRELIM_DATA: {
    kind: kinds.folder,
    default: './data',
    means: 'Folder for keys, the embedded database and the embedded archive.',
  },
  PRELIM_ROLES: {
    kind: kinds.list(['api', 'worker', 'listener']),
    default: 'api,worker,listener',
    means: 'What this process does: api (HTTP), worker (steps), listener (MLLP).',
  },
  PRELIM_MODELS: {
    kind: kinds.folders,
    default: '',
    means: 'Folders with models of your own, separated by ":".',
  },
  PRELIM_MODEL_STATE: {
    kind: kinds.oneOf(['pilot', 'shadow']),
    default: 'pilot',
    means:
      'State of a model version that nobody has released: "pilot" sends its results out, "shadow" keeps them inside.',
  },
  PRELIM_PROTOCOLS: {
    kind: kinds.folders,
    default: '',
    means: 'Folders with imaging protocols of your own, separated by ":".',
  },
  GATE_KEPT_DAYS: {
    kind: kinds.integer(1, 3_660),
    default: '400',
    means:
      'Days for which the verdicts of the gate and the conformance to imaging protocols are counted by scanner.',
  },
  LOG_LEVEL: {
    kind: kinds.oneOf(['fatal', 'error', 'warn', 'info', 'debug', 'silent']),
    default: 'info',
    means: 'How much is logged. No level logs patient data.',
  },
  DATABASE_URL: {
    kind: kinds.optionalUrl(['postgres:', 'postgresql:']),
    default: '',
    means:
      'Your own PostgreSQL (16 or newer); with ?sslmode=verify-full&sslrootcert=<file> over TLS. Empty: the embedded one under PRELIM_DATA.',
  },
  DATABASE_OWNER_URL: {
    kind: kinds.optionalUrl(['postgres:', 'postgresql:']),
    default: '',
    means:
      'The same database as its owner, for migrations: then the user of DATABASE_URL cannot change or remove the audit. Empty: that user owns all.',
  },
  DATABASE_CONNECTIONS_MAX: {
    kind: kinds.integer(2, 200),
    default: '12',
    means: 'Connections in the pool of one process.',
  },
  REDIS_URL: {
    kind: kinds.optionalUrl(['redis:', 'rediss:']),
    default: '',
    means: 'Redis for Bull. Empty: jobs run in this process.',
  },
  REDIS_TLS_CA: {
    kind: kinds.text,
    default: '',
    means:
      'PEM file with the authorities that REDIS_URL (rediss://) is checked against. Empty: those of Node.',
  },
  REDIS_TLS_CERT: {
    kind: kinds.text,
    default: '',
    means: 'PEM file with our client certificate for REDIS_URL (with REDIS_TLS_KEY).',
  },
  REDIS_TLS_KEY: { kind: kinds.text, default: '', means: 'PEM file with the key of REDIS_TLS_CERT.' },
  DICOMWEB_URL: {
    kind: kinds.optionalUrl(['http:', 'https:']),
    default: '',
    means: 'DICOMweb service root of the PACS. Empty: the embedded archive under /dicomweb.',
  },
  DICOMWEB_TOKEN: { kind: kinds.secret, default: '', means: 'Bearer token sent to DICOMWEB_URL.' },
  DICOMWEB_USER: {
    kind: kinds.text,
    default: '',
    means: 'User for HTTP Basic at DICOMWEB_URL (with DICOMWEB_PASSWORD).',
  },
  DICOMWEB_PASSWORD: { kind: kinds.secret, default: '', means: 'Password for HTTP Basic at DICOMWEB_URL.' },
  PACS_OBJECTS: {
    kind: kinds.list(['none', 'sr', 'seg', 'sc']),
    default: 'sr,seg',
    means:
      'What of each result is stored in the PACS by STOW-RS: sr (structured report), seg (segmentation of masks), sc (picture with the finding drawn). none: nothing, for a PACS without STOW-RS.',
  },
  STUDY_LOOK_INTERVAL_MS: {
    kind: kinds.integer(50, 3_600_000),
    default: '10000',
    means: 'Time between two looks at the PACS for new or growing studies.',
  },
  STUDY_QUIET_MS: {
    kind: kinds.integer(0, 86_400_000),
    default: '30000',
    means: 'A study is complete when its instance count stood still over two looks and this long.',
  },
  STUDY_LOOK_BACK_HOURS: {
    kind: kinds.integer(1, 720),
    default: '48',
    means: 'How far back by study date a look at the PACS reaches.',
  },
  SITE_TIME_ZONE: {
    kind: kinds.timeZone,
    default: '',
    means:
      'Time zone of DICOM and HL7 times that carry none, as IANA name (Europe/Vienna). Empty: of such times only the date is kept.',
  },
  HL7_HOST: { kind: kinds.text, default: '127.0.0.1', means: 'Address the MLLP listener binds to.' },
  HL7_PORT: { kind: kinds.port, default: '2575', means: 'MLLP port for orders.' },
  HL7_TLS_CERT: {
    kind: kinds.text,
    default: '',
    means:
      'PEM file with the certificate of the MLLP listener (with HL7_TLS_KEY): makes it MLLP over TLS. Empty: plain MLLP.',
  },
  HL7_TLS_KEY: {
    kind: kinds.text,
    default: '',
    means: 'PEM file with the key of HL7_TLS_CERT.',
  },
  HL7_TLS_CA: {
    kind: kinds.text,
    default: '',
    means:
      'PEM file with the authorities of client certificates: senders without one are refused. Empty: none is asked for.',
  },
  HL7_TLS_NAMES: {
    kind: kinds.text,
    default: '',
    means:
      'Comma list of names (common name, or a name of the subject alternative name): only senders whose certificate has one of them get in. Empty: all that an authority of HL7_TLS_CA has signed.',
  },
  HL7_ACCESSION_FROM: {
    kind: kinds.text,
    default: 'IPC-1,OBR-18',
    means:
      'Where the accession number of an order stands: fields of IPC, ORC, OBR or ZDS, the first that is filled counts. Other places for one sender (MSH-3 or MSH-4): "IPC-1,OBR-18;EPIC=OBR-20,ORC-3".',
  },
  RIS_URL: {
    kind: kinds.optionalUrl(['mllp:', 'mllps:']),
    default: '',
    means: 'Where ORU^R01 goes. Empty: no ORU is sent.',
  },
  RIS_ACK_TIMEOUT_MS: {
    kind: kinds.integer(100, 600_000),
    default: '30000',
    means:
      'How long to wait for the ACK of one message before the connection is closed and the same bytes are sent again.',
  },
  RIS_TLS_CA: {
    kind: kinds.text,
    default: '',
    means: 'PEM file with the authorities that RIS_URL (mllps://) is checked against. Empty: those of Node.',
  },
  RIS_TLS_CERT: {
    kind: kinds.text,
    default: '',
    means: 'PEM file with our client certificate for RIS_URL (with RIS_TLS_KEY).',
  },
  RIS_TLS_KEY: {
    kind: kinds.text,
    default: '',
    means: 'PEM file with the key of RIS_TLS_CERT.',
  },
  RIS_PROFILE: {
    kind: kinds.text,
    default: '',
    means:
      'JSON file in which the result messages for this RIS differ; see docs/interface-engineer.md. Empty: the defaults there.',
  },
  RIS_DESTINATIONS: {
    kind: kinds.text,
    default: '',
    means:
      'JSON or YAML file with further receivers of results, each with a name, an address, a profile; see docs/interface-engineer.md. Empty: only RIS_URL.',
  },
  HL7_SENDING_APPLICATION: { kind: kinds.text, default: 'PRELIM', means: 'MSH-3 of messages sent.' },
  HL7_SENDING_FACILITY: { kind: kinds.text, default: 'RADIOLOGY', means: 'MSH-4 of messages sent.' },
  HL7_RECEIVING_APPLICATION: { kind: kinds.text, default: 'RIS', means: 'MSH-5 of messages sent.' },
  HL7_RECEIVING_FACILITY: { kind: kinds.text, default: 'HOSPITAL', means: 'MSH-6 of messages sent.' },
  ...MLLP_SETTINGS,
  ...HL7_OPERATION_SETTINGS,
  INFERENCE_THREADS: {
    kind: kinds.integer(0, 64),
    default: '0',
    means: 'Threads of one model run. 0: as many as there are cores.',
  },
  INFERENCE_PROVIDERS: {
    kind: kinds.list(['cpu', 'cuda']),
    default: 'cpu',
    means:
      'Where ONNX models run, first choice first: "cuda,cpu" uses an NVIDIA GPU when ONNX Runtime finds its CUDA parts.',
  },
  INFERENCE_ISOLATION: {
    kind: kinds.oneOf(['process', 'thread']),
    default: 'process',
    means:
      'Where a model runs: "process": in one of its own, so that its crash or time-out ends nothing else; "thread": in the server, without copying tensors.',
  },
  INFERENCE_SESSIONS_MAX: {
    kind: kinds.integer(1, 256),
    default: '8',
    means: 'Models kept loaded at the same time; the one unused for longest makes room.',
  },
  INFERENCE_RUNS_MAX: {
    kind: kinds.integer(1, 64),
    default: '2',
    means: 'Model runs at the same time in one process of the server.',
  },
  INFERENCE_BATCH_MAX: {
    kind: kinds.integer(1, 256),
    default: '1',
    means:
      'Waiting images of one model computed in one run, where a trial at the start shows that it changes no number. 1: never; worth it on a GPU.',
  },
  INFERENCE_HOSTS: {
    kind: kinds.hosts,
    default: '',
    means: 'Hosts of Open Inference Protocol servers that a manifest may name. Empty: none.',
  },
  SNOMED_LICENSED: {
    kind: kinds.oneOf(['no', 'yes']),
    default: 'no',
    means:
      'yes: this site holds a SNOMED CT licence, and codes outside the free Global Patient Set are used too.',
  },
  SUBSCRIPTION_HOSTS: {
    kind: kinds.hosts,
    default: '',
    means:
      'Hosts (name or name:port, separated by ",") that rest-hook Subscriptions may call; without a port, that of http or https. Empty: none.',
  },
  SUBSCRIPTION_NETWORKS: {
    kind: kinds.networks,
    default: '',
    means:
      'Private address ranges (10.20.0.0/16, separated by ",") in which names of SUBSCRIPTION_HOSTS may lie. Empty: public addresses only.',
  },
  SUBSCRIPTION_SECRETS: {
    kind: kinds.secretsByHost,
    default: '',
    means:
      'Secrets that sign what rest-hooks are sent, as JSON by host or host:port: {"ehr.example":"…"}. Empty: nothing is signed.',
  },
  FHIR_REFERENTIAL_INTEGRITY: {
    kind: kinds.oneOf(['off', 'check']),
    default: 'off',
    means:
      'check: a write that refers to what is not on this server is refused (422), and so is the deletion of what others refer to (409).',
  },
  FHIR_UNKNOWN_PROFILES: {
    kind: kinds.oneOf(['accept', 'refuse']),
    default: 'accept',
    means: 'refuse: a resource that claims a profile this server does not know is refused (422).',
  },
  FHIR_PACKAGES: {
    kind: kinds.folders,
    default: '',
    means:
      'Folders with FHIR packages (package.json beside the resources) whose profiles are enforced, separated by ":".',
  },
  FHIR_EXPUNGE: {
    kind: kinds.oneOf(['no', 'yes']),
    default: 'no',
    means: 'yes: $expunge may remove superseded versions and deleted resources for ever.',
  },
  BULK_FILES_HOURS: {
    kind: kinds.integer(1, 720),
    default: '24',
    means: 'How long the files of a bulk export or import are kept after it ended.',
  },
  BULK_IMPORT_BYTES_MAX: {
    kind: kinds.integer(1_024, 1_099_511_627_776),
    default: '10737418240',
    means: 'Largest NDJSON body that $import takes in one request, in bytes.',
  },
  BULK_IMPORT_FOLDER: {
    kind: kinds.text,
    default: '',
    means: 'Folder whose NDJSON files $import may read by name. Empty: only bodies are imported.',
  },
  AUDIT: {
    kind: kinds.oneOf(['on', 'off']),
    default: 'on',
    means: 'off: nobody can tell who saw or changed what. Said at every start; for measuring only.',
  },
  AUDIT_SYSLOG_URL: {
    kind: kinds.optionalUrl(['syslogs:']),
    default: '',
    means:
      'Audit repository (IHE ATNA): syslogs://host:port, RFC 5424 messages over TLS (RFC 5425). Empty: the audit stays here.',
  },
  AUDIT_SYSLOG_FORMAT: {
    kind: kinds.oneOf(['dicom', 'fhir']),
    default: 'dicom',
    means: 'What the messages hold: dicom (PS3.15 A.5 XML) or fhir (AuditEvent as JSON).',
  },
  AUDIT_SYSLOG_TLS_CA: {
    kind: kinds.text,
    default: '',
    means: 'PEM file with the authorities that AUDIT_SYSLOG_URL is checked against. Empty: those of Node.',
  },
  AUDIT_SYSLOG_TLS_CERT: {
    kind: kinds.text,
    default: '',
    means: 'PEM file with our client certificate for AUDIT_SYSLOG_URL (with AUDIT_SYSLOG_TLS_KEY).',
  },
  AUDIT_SYSLOG_TLS_KEY: {
    kind: kinds.text,
    default: '',
    means: 'PEM file with the key of AUDIT_SYSLOG_TLS_CERT.',
  },
  AUDIT_KEPT_DAYS: {
    kind: kinds.integer(30, 36_600),
    default: '3650',
    means: 'Days for which audit rows are kept: "npm run audit -- prune" removes older ones.',
  },
  AUTH_CLIENTS: {
    kind: kinds.secret,
    default: '',
    means: 'Further clients of the token endpoint, as JSON: [{"id","secretSha256","scope"}].',
  },
  ACCESS_ROLES_FILE: {
    kind: kinds.text,
    default: '',
    means:
      'YAML file that says what each role may do, in place of access-roles/roles.yaml; see docs/access-rules.md.',
  },
  AUTH_HOSTS: {
    kind: kinds.hosts,
    default: '',
    means:
      'Hosts (name or name:port, separated by ",") from which the key sets of registered clients may be fetched; without a port, that of http or https. Empty: none.',
  },
  AUTH_NETWORKS: {
    kind: kinds.networks,
    default: '',
    means:
      'Private address ranges (10.20.0.0/16, separated by ",") in which the names of AUTH_HOSTS, of AUTH_OPENID and of AUTH_ISSUERS may lie. Empty: public addresses only.',
  },
  AUTH_OPENID: {
    kind: kinds.secret,
    default: '',
    means:
      'OpenID provider by which people sign in, as JSON: {"issuer","clientId","clientSecret","rolesClaim","roles"}; see docs/access.md. Empty: local accounts only.',
  },
  AUTH_ISSUERS: {
    kind: kinds.secret,
    default: '',
    means:
      'Outside authorization servers whose access tokens count here, as JSON: [{"issuer","audience","jwksUri"}]; see docs/access.md. Empty: our own tokens only.',
  },
} as const satisfies Record<string, SettingDefinition>;

export interface SettingDefinition {
  readonly kind: Kind<unknown>;
  readonly default: string;
  readonly means: string;
}

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
