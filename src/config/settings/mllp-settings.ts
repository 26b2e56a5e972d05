import { kinds } from '../setting-kinds.ts';

/** What a site tunes of MLLP, in and out: counts, bytes and times. Part of `SETTINGS`. The defaults are those of `hl7/`. */
export const MLLP_SETTINGS = {
  HL7_CONNECTIONS_MAX: {
    kind: kinds.integer(1, 10_000),
    default: '256',
    means: 'MLLP connections that are open at once; a further one is closed.',
  },
  HL7_CONNECTIONS_PER_ADDRESS_MAX: {
    kind: kinds.integer(1, 10_000),
    default: '64',
    means: 'Of them, from one address.',
  },
  HL7_FRAME_BYTES_MAX: {
    kind: kinds.integer(65_536, 256 * 1_048_576),
    default: '16777216',
    means: 'Largest MLLP frame, in bytes; beyond it the connection is closed.',
  },
  HL7_FRAME_SILENCE_MS: {
    kind: kinds.integer(1_000, 600_000),
    default: '30000',
    means: 'How long an open frame may wait for its next byte, in milliseconds.',
  },
  HL7_IDLE_MS: {
    kind: kinds.integer(10_000, 604_800_000),
    default: '3600000',
    means: 'After how long without traffic an MLLP connection from a sender is closed, in milliseconds.',
  },
  RIS_CONNECT_TIMEOUT_MS: {
    kind: kinds.integer(100, 120_000),
    default: '10000',
    means: 'How long a connection to a receiver may take to open, its TLS handshake too, in milliseconds.',
  },
  RIS_IDLE_MS: {
    kind: kinds.integer(1_000, 86_400_000),
    default: '300000',
    means:
      'After how long unused a connection to a receiver is closed, in milliseconds; the next message opens one.',
  },
} as const;
