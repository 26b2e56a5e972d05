import { Outbox1763700000001 } from './0001-outbox.ts';
import { Fhir1763700000002 } from './0002-fhir.ts';
import { Archive1763700000003 } from './0003-archive.ts';
import { Hl71763700000004 } from './0004-hl7.ts';

/** Every migration, oldest first. */
export const MIGRATIONS = [
  Outbox1763700000001,
  Fhir1763700000002,
  Archive1763700000003,
  Hl71763700000004,
] as const;
