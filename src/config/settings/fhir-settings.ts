import { kinds, type SettingDefinition } from '../setting-kinds.ts';

/** The FHIR server: validation, bulk data, and what Subscriptions may call. Part of `SETTINGS`. */
export const FHIR_SETTINGS = {
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
      'check: a write that refers to what is not on this server, or may not be read with its token, is refused (422), and so is the deletion of what others refer to (409).',
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
} as const satisfies Record<string, SettingDefinition>;
