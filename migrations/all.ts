import { Outbox1763700000001 } from './0001-outbox.ts';
import { Fhir1763700000002 } from './0002-fhir.ts';
import { Archive1763700000003 } from './0003-archive.ts';
import { Hl71763700000004 } from './0004-hl7.ts';
import { SubscriptionTopics1763700000005 } from './0005-subscription-topics.ts';
import { Terminology1763700000006 } from './0006-terminology.ts';
import { Bulk1763700000007 } from './0007-bulk.ts';
import { SearchKinds1763700000008 } from './0008-search-kinds.ts';
import { HistoryIndex1763700000009 } from './0009-history-index.ts';
import { PacsObjects1763700000010 } from './0010-pacs.ts';
import { Gate1763700000011 } from './0011-gate.ts';
import { Models1763700000012 } from './0012-models.ts';
import { Hl7Inlet1763700000013 } from './0013-hl7-inlet.ts';
import { Hl7Destinations1763700000014 } from './0014-hl7-destinations.ts';
import { Hl7Operations1763700000015 } from './0015-hl7-operations.ts';
import { Filing1763700000016 } from './0016-filing.ts';
import { Access1763700000017 } from './0017-access.ts';
import { Compartments1763700000018 } from './0018-compartments.ts';
import { Audit1763700000019 } from './0019-audit.ts';
import { MainDate1763700000021 } from './0021-main-date.ts';
import { MainDateIndex1763700000022 } from './0022-main-date-index.ts';
import { ResourceLabels1763700000023 } from './0023-resource-labels.ts';
import { Hl7Unacknowledged1763700000024 } from './0024-hl7-unacknowledged.ts';
import { AuditSortIn1763700000025 } from './0025-audit-sort-in.ts';
import { NearOfStoredLocations1763700000027 } from './0027-near-of-stored-locations.ts';
import { ToldAgain1763700000029 } from './0029-told-again.ts';
import { OptedOut1763700000030 } from './0030-opted-out.ts';
import { SolePatient1763700000031 } from './0031-sole-patient.ts';
import { PacsRejects1763700000032 } from './0032-pacs-rejects.ts';
import { RateUse1763700000033 } from './0033-rate-use.ts';
import { PageSession1763700000034 } from './0034-page-session.ts';
import { BinaryOwner1763700000035 } from './0035-binary-owner.ts';
import { PatientCodes1763700000036 } from './0036-patient-codes.ts';
import { BindingReader1763700000037 } from './0037-binding-reader.ts';
import { StudyIdentity1763700000038 } from './0038-study-identity.ts';
import { LateQuestions1763700000039 } from './0039-late-questions.ts';
import { Hl7Told1763700000041 } from './0041-hl7-told.ts';
import { Hl7ReasonIndex1763700000043 } from './0043-hl7-reason-index.ts';
import { Hl7LaneOrder1763700000046 } from './0046-hl7-lane-order.ts';

/** Every migration, oldest first. */
export const MIGRATIONS = [
  Outbox1763700000001,
  Fhir1763700000002,
  Archive1763700000003,
  Hl71763700000004,
  SubscriptionTopics1763700000005,
  Terminology1763700000006,
  Bulk1763700000007,
  SearchKinds1763700000008,
  HistoryIndex1763700000009,
  PacsObjects1763700000010,
  Gate1763700000011,
  Models1763700000012,
  Hl7Inlet1763700000013,
  Hl7Destinations1763700000014,
  Hl7Operations1763700000015,
  Filing1763700000016,
  Access1763700000017,
  Compartments1763700000018,
  Audit1763700000019,
  MainDate1763700000021,
  MainDateIndex1763700000022,
  ResourceLabels1763700000023,
  Hl7Unacknowledged1763700000024,
  AuditSortIn1763700000025,
  NearOfStoredLocations1763700000027,
  ToldAgain1763700000029,
  OptedOut1763700000030,
  SolePatient1763700000031,
  PacsRejects1763700000032,
  RateUse1763700000033,
  PageSession1763700000034,
  BinaryOwner1763700000035,
  PatientCodes1763700000036,
  BindingReader1763700000037,
  StudyIdentity1763700000038,
  LateQuestions1763700000039,
  Hl7Told1763700000041,
  Hl7ReasonIndex1763700000043,
  Hl7LaneOrder1763700000046,
] as const;
