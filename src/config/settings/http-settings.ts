import { kinds, type SettingDefinition } from '../setting-kinds.ts';

/** The HTTP server: its address, TLS, and how many requests it takes from whom. Part of `SETTINGS`. */
export const HTTP_SETTINGS = {
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
      'Requests that one client (and person) may make in a second, of all processes together, on average; twice as many at once.',
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
      'Requests without a token, or with one that is none, that one address may make in a second, of all processes together, on average; twice as many at once.',
  },
  RATE_SIGN_IN_PER_MINUTE: {
    kind: kinds.integer(1, 1_000_000),
    default: '300',
    means:
      'Requests for tokens, sign-ins and the like that one address may make in a minute, of all processes together.',
  },
} as const satisfies Record<string, SettingDefinition>;
