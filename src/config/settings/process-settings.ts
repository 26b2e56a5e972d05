import { kinds, type SettingDefinition } from '../setting-kinds.ts';

/** The process itself: what it does, where its files lie, and its database and queue. Part of `SETTINGS`. */
export const PROCESS_SETTINGS = {
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
} as const satisfies Record<string, SettingDefinition>;
