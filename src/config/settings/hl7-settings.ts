import { kinds, type SettingDefinition } from '../setting-kinds.ts';

/** The HL7 v2 side: where orders come in, where results go, and under which names. Part of `SETTINGS`. */
export const HL7_SETTINGS = {
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
  HL7_CHARSET: {
    kind: kinds.text,
    default: 'UNICODE UTF-8',
    means:
      'Character set of messages that name none in MSH-18, or ASCII: a name of table 0211. Another one for one sender (MSH-3 or MSH-4): "UNICODE UTF-8;OLDRIS=8859/1".',
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
} as const satisfies Record<string, SettingDefinition>;
