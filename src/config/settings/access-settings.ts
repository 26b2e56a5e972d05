import { kinds, type SettingDefinition } from '../setting-kinds.ts';

/** Who may do what, and the audit of it. Part of `SETTINGS`. */
export const ACCESS_SETTINGS = {
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
      'Private address ranges (10.20.0.0/16, separated by ",") in which the names of AUTH_HOSTS, of AUTH_OPENID, of AUTH_EHRS and of AUTH_ISSUERS may lie. Empty: public addresses only.',
  },
  AUTH_OPENID: {
    kind: kinds.secret,
    default: '',
    means:
      'OpenID provider by which people sign in, as JSON: {"issuer","clientId","clientSecret" or "clientAlgorithm","rolesClaim","roles"}; see docs/access.md. Empty: local accounts only.',
  },
  AUTH_EHRS: {
    kind: kinds.secret,
    default: '',
    means:
      'EHRs with an authorization server of their own that may launch the worklist, as JSON: [{"iss","clientId","clientSecret" or "clientAlgorithm","patientSystem","everybody"}]; see docs/access.md. Empty: launches announced at /auth/launch only.',
  },
  AUTH_ISSUERS: {
    kind: kinds.secret,
    default: '',
    means:
      'Outside authorization servers whose access tokens count here, as JSON: [{"issuer","audience","jwksUri"}]; see docs/access.md. Empty: our own tokens only.',
  },
} as const satisfies Record<string, SettingDefinition>;
