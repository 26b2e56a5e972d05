import type { CodeableConcept, Condition, Observation, Patient } from '@medplum/fhirtypes';
import { Inject, Injectable } from '@nestjs/common';
import { Database } from '../database/database.ts';
import { CODE_SYSTEMS } from '../kernel/code-systems.ts';

/** Studies of one patient that are looked at, those nearest in time: a course of years, and no more work for a patient with hundreds. */
export const NEAR_STUDIES_MAX = 40;
/** Of those the nearest that have findings: a few more than are shown, since some may not be comparable or withdrawn. */
export const READ_STUDIES_MAX = 8;
/** Merges follow each other (A into B, B into C); a chain longer than this is a circle. */
export const MERGE_STEPS_MAX = 3;

/** What a study says that decides whether two can be compared. */
export interface NearStudy {
  readonly id: string;
  /** `ImagingStudy.started`, as written. */
  readonly started: string;
  readonly description: string | null;
  readonly series: readonly {
    readonly uid?: string;
    readonly modality?: string;
    readonly bodySite?: string;
    readonly bodyText?: string;
    readonly laterality?: string;
  }[];
}

export interface StudyContext {
  /** The patient of the study and every record that was merged with it. */
  readonly patientIds: readonly string[];
  /** Other studies of this patient and modality, with results of ours. */
  readonly studies: readonly NearStudy[];
  /** Findings with one of the asked codes, made out of one of these studies. */
  readonly observations: readonly (Observation & { id: string })[];
  /** Of the order: why the exam was asked for. */
  readonly reasons: readonly CodeableConcept[];
}

/** Problems of one patient that are looked at. A list that is longer is no list of problems. */
export const PROBLEMS_MAX = 200;

export interface PatientContext {
  /** Who the patient is now: after a merge the record that took over. null: the study names nobody who is there. */
  readonly patient: Pick<Patient, 'gender' | 'birthDate'> | null;
  readonly reasons: readonly CodeableConcept[];
  /** Active problems (Condition.clinicalStatus active, recurrence, relapse), none that was refuted or entered in error. */
  readonly problems: readonly CodeableConcept[];
}

/** What the record knows around a study, in one round trip. */
@Injectable()
export class StudyContextStore {
  constructor(@Inject(Database) private readonly database: Database) {}

  /** Whose study it is, why it was made, and what else the patient has. */
  async readPatient(imagingStudyId: string): Promise<PatientContext> {
    const rows = await this.database.run<FoundRow>(SELECT_PATIENT, [imagingStudyId]);
    const contents = contentsOf(rows);
    const patients = contents<Patient>('patient');
    const current = patients.find(({ link }) => !link?.some(({ type }) => type === 'replaced-by'));
    return {
      patient: current ?? patients[0] ?? null,
      reasons: contents<CodeableConcept[]>('reasons').flat(),
      problems: contents<Condition>('problem').flatMap(({ code, verificationStatus }) =>
        code && !verificationStatus?.coding?.some((one) => NO_PROBLEM.has(one.code ?? '')) ? [code] : [],
      ),
    };
  }

  /** Other studies of this patient and modality that nobody has findings of and nobody is looking at, those nearest in time. */
  async readUnanalysed(imagingStudyId: string): Promise<readonly NearStudy[]> {
    const rows = await this.database.run<FoundRow>(SELECT_UNANALYSED, [imagingStudyId]);
    return contentsOf(rows)<NearStudy>('study');
  }

  /** `keys`: finding keys of the model's manifest. A study that is gone has an empty context. */
  async read(imagingStudyId: string, keys: readonly string[]): Promise<StudyContext> {
    const codes = keys.map((key) => `Observation.code@${CODE_SYSTEMS.finding}|${key}`);
    const rows = await this.database.run<FoundRow>(SELECT_PRIORS, [imagingStudyId, codes]);
    const contents = contentsOf(rows);
    return {
      patientIds: rows.filter(({ kind }) => kind === 'person').map(({ id }) => id),
      studies: contents<NearStudy>('study'),
      observations: contents<Observation & { id: string }>('observation'),
      reasons: contents<CodeableConcept[]>('reasons').flat(),
    };
  }
}

interface FoundRow {
  readonly kind: string;
  readonly id: string;
  readonly content: string | null;
}

const contentsOf =
  (rows: readonly FoundRow[]) =>
  <T>(kind: string): T[] =>
    rows.flatMap((row) => (row.kind === kind && row.content !== null ? [JSON.parse(row.content) as T] : []));

/** Condition.verificationStatus of what is no problem of the patient. */
const NO_PROBLEM: ReadonlySet<string> = new Set(['refuted', 'entered-in-error']);

/**
 * From the study to its patient and the records merged with that one (Patient.link `replaces` and `replaced-by`, from either side). Every
 * step goes through the index of `resource.tokens` or the primary key, so it costs what the one patient has. `IS TRUE` keeps conditions that
 * fit half the table (a code, a modality, a status) away from the index: their lists would be read from end to end. `OFFSET 0` has each part asked
 * once per person or study, by the index: PostgreSQL cannot know how few rows an entry has, and would rather read the whole table once. An
 * entry names its type, so no condition asks for the type again.
 */
const PEOPLE = `
    WITH RECURSIVE this AS MATERIALIZED (
      SELECT tokens, main_date FROM resource WHERE type = 'ImagingStudy' AND id = $1 AND NOT deleted
    ), person(id, steps) AS (
      SELECT substr(token, length('ImagingStudy.subject>Patient/') + 1), 0
      FROM this, unnest(this.tokens) token WHERE starts_with(token, 'ImagingStudy.subject>Patient/')
      UNION
      SELECT linked.id, person.steps + 1 FROM person, LATERAL (
        SELECT split_part(link #>> '{other,reference}', '/', 2) AS id
        FROM resource p, jsonb_array_elements(p.content::jsonb -> 'link') link
        WHERE p.type = 'Patient' AND p.id = person.id AND NOT p.deleted AND link ->> 'type' IN ('replaces', 'replaced-by')
          AND link #>> '{other,reference}' LIKE 'Patient/%'
        UNION
        SELECT p.id FROM (SELECT r.id, r.content FROM resource r
          WHERE r.tokens @> ARRAY['Patient.link>Patient/' || person.id] AND NOT r.deleted OFFSET 0
        ) p, jsonb_array_elements(p.content::jsonb -> 'link') link
        WHERE link ->> 'type' IN ('replaces', 'replaced-by') AND link #>> '{other,reference}' = 'Patient/' || person.id
      ) linked
      WHERE person.steps < ${MERGE_STEPS_MAX}
    ), people AS MATERIALIZED (
      SELECT DISTINCT id FROM person
    )`;

/** Codes of the order (OBR-31), and of the diagnoses that it refers to (DG1). */
const REASONS = `
    SELECT 'reasons' AS kind, o.id, (CASE WHEN jsonb_array_length(diagnoses) > 0
        THEN coalesce(o.content -> 'reasonCode', '[]') || diagnoses ELSE o.content -> 'reasonCode' END)::text AS content
      FROM (SELECT o.id, o.content::jsonb AS content FROM this, unnest(this.tokens) token, resource o
        WHERE starts_with(token, 'ImagingStudy.basedon>ServiceRequest/') AND o.type = 'ServiceRequest' AND NOT o.deleted
          AND o.id = substr(token, length('ImagingStudy.basedon>ServiceRequest/') + 1)) o,
      LATERAL (SELECT coalesce(jsonb_agg(c.content::jsonb -> 'code'), '[]') AS diagnoses
        FROM jsonb_array_elements(coalesce(o.content -> 'reasonReference', '[]')) reason
        JOIN resource c ON c.type = 'Condition' AND c.id = substr(reason ->> 'reference', 11) AND NOT c.deleted
        WHERE starts_with(reason ->> 'reference', 'Condition/') AND c.content::jsonb -> 'code' IS NOT NULL
          AND c.content::jsonb #>> '{verificationStatus,coding,0,code}' IN ('refuted', 'entered-in-error') IS NOT TRUE) d`;

const CLINICAL = 'Condition.clinical-status@http://terminology.hl7.org/CodeSystem/condition-clinical|';

const SELECT_PATIENT = {
  name: 'study-patient-context',
  text: `${PEOPLE}
    ${REASONS}
    UNION ALL SELECT 'patient', p.id, p.content FROM people JOIN resource p ON p.type = 'Patient' AND p.id = people.id AND NOT p.deleted
    UNION ALL SELECT 'problem', id, content FROM (
      SELECT c.id, c.content FROM people, LATERAL (
        SELECT r.id, r.content FROM resource r
        WHERE r.tokens @> ARRAY['Condition.subject>Patient/' || people.id] AND NOT r.deleted
          AND (r.tokens && ARRAY['${CLINICAL}active', '${CLINICAL}recurrence', '${CLINICAL}relapse']) IS TRUE OFFSET 0
      ) c ORDER BY c.id LIMIT ${PROBLEMS_MAX}) problems`,
};

const NEAR = `near AS MATERIALIZED (
      SELECT s.id, s.content FROM people, this, LATERAL (
        SELECT r.id, r.content, r.main_date, r.tokens FROM resource r
        WHERE r.tokens @> ARRAY['ImagingStudy.subject>Patient/' || people.id] AND NOT r.deleted OFFSET 0
      ) s
      WHERE s.id <> $1 AND s.main_date IS NOT NULL AND this.main_date IS NOT NULL
        AND (s.tokens && ARRAY(SELECT token FROM unnest(this.tokens) token WHERE starts_with(token, 'ImagingStudy.modality@'))) IS TRUE
      ORDER BY abs(extract(epoch FROM s.main_date - this.main_date)), s.id LIMIT ${NEAR_STUDIES_MAX}
    )`;

const STUDY_ROWS = (from: string) => `SELECT 'study' AS kind, near.id, jsonb_build_object(
        'id', near.id, 'started', study ->> 'started', 'description', study ->> 'description',
        'series', (SELECT jsonb_agg(jsonb_strip_nulls(jsonb_build_object('uid', one ->> 'uid',
          'modality', one #>> '{modality,code}', 'bodySite', one #>> '{bodySite,code}',
          'bodyText', one #>> '{bodySite,display}', 'laterality', one #>> '{laterality,code}')))
          FROM jsonb_array_elements(coalesce(study -> 'series', '[]')) one))::text AS content
      FROM ${from} near, LATERAL (SELECT near.content::jsonb AS study) parsed
      WHERE study ->> 'status' NOT IN ('cancelled', 'entered-in-error')`;

/** A Task that waits or runs will give findings, or say why not. */
const OPEN_TASKS = `ARRAY['requested', 'received', 'accepted', 'ready', 'in-progress', 'on-hold']`;

const SELECT_UNANALYSED = {
  name: 'study-unanalysed',
  text: `${PEOPLE}, ${NEAR}, rest AS MATERIALIZED (
      SELECT near.id, near.content FROM near WHERE NOT EXISTS (
        SELECT 1 FROM resource r
        WHERE r.tokens @> ARRAY['Observation.derived-from>ImagingStudy/' || near.id] AND NOT r.deleted OFFSET 0
      ) AND NOT EXISTS (
        SELECT 1 FROM resource t
        WHERE t.tokens @> ARRAY['Task.focus>ImagingStudy/' || near.id] AND NOT t.deleted
          AND (t.content::jsonb ->> 'status') = ANY (${OPEN_TASKS}) OFFSET 0
      )
    )
    ${STUDY_ROWS('rest')}`,
};

/** On to the patient's other studies of the same modality, and to findings made out of those. Only a study with findings is unpacked: the JSON of a large one is long. */
const SELECT_PRIORS = {
  name: 'study-priors',
  text: `${PEOPLE}, ${NEAR}, read AS MATERIALIZED (
      SELECT near.id, near.content FROM near WHERE EXISTS (
        SELECT 1 FROM resource r
        WHERE r.tokens @> ARRAY['Observation.derived-from>ImagingStudy/' || near.id] AND (r.tokens && $2::text[]) IS TRUE
          AND NOT r.deleted OFFSET 0
      ) LIMIT ${READ_STUDIES_MAX}
    ), found AS MATERIALIZED (
      SELECT near.id AS study, o.id, o.content FROM read near, LATERAL (
        SELECT r.id, r.content FROM resource r
        WHERE r.tokens @> ARRAY['Observation.derived-from>ImagingStudy/' || near.id] AND (r.tokens && $2::text[]) IS TRUE
          AND NOT r.deleted OFFSET 0
      ) o
    )
    SELECT 'person' AS kind, id, NULL AS content FROM people
    UNION ALL SELECT 'observation', id, content FROM found
    UNION ALL ${STUDY_ROWS('read')}
    UNION ALL ${REASONS}`,
};
