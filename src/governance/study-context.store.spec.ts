import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FreshDatabase, freshDatabase } from '../../test/database.ts';
import { countingRows } from '../../test/rows-read.ts';
import {
  MERGE_STEPS_MAX,
  NEAR_STUDIES_MAX,
  PROBLEMS_MAX,
  READ_STUDIES_MAX,
  StudyContextStore,
} from './study-context.store.ts';

const STUDIES = 10_000;
const PATIENTS = 2_000;

/** Of one patient there are 5 studies, 5 findings and 4 problems here; the studies are met more than once on the way. */
const ROWS_MAX = 60;

describe('what is read around a study, among many of other patients', () => {
  let fresh: FreshDatabase;
  let store: StudyContextStore;
  beforeAll(async () => {
    fresh = await freshDatabase();
    store = new StudyContextStore(fresh.database);
    const insert = (type: string, id: string, content: string, tokens: string, rows: number, date = 'NULL') =>
      fresh.database.run({
        text: `INSERT INTO resource (type, id, version, last_updated, deleted, method, content, tokens, main_date)
          SELECT '${type}', ${id}, 1, now(), false, 'PUT', ${content}, ARRAY[${tokens}], ${date} FROM generate_series(1, ${rows}) g`,
      });
    const patient = `(g % ${PATIENTS} + 1)`;
    const of = (type: string) => `'{"resourceType":"${type}","id":"' || g || '"}'`;
    await insert('Patient', `'p' || g`, of('Patient'), `'Patient.identifier#' || g`, PATIENTS);
    await insert(
      'ImagingStudy',
      `'s' || g`,
      `'{"resourceType":"ImagingStudy","status":"available","started":"2026-01-03T00:00:00Z","description":"CT","series":[{"uid":"1.2"}]}'`,
      `'ImagingStudy.subject>Patient/p' || ${patient}, 'ImagingStudy.modality@x|' || (ARRAY['CT', 'MR'])[1 + (g = ${STUDIES - 1})::int]`,
      STUDIES,
      `now() - g * interval '1 minute'`,
    );
    await insert(
      'Observation',
      `'o' || g`,
      `'{"resourceType":"Observation","id":"o' || g || '"}'`,
      `'Observation.derived-from>ImagingStudy/s' || g, 'Observation.code@https://prelim.example/fhir/CodeSystem/finding|laa'`,
      STUDIES,
    );
    await insert(
      'Condition',
      `'c' || g`,
      `'{"resourceType":"Condition","code":{"text":"' || g || '"}}'`,
      `'Condition.subject>Patient/p' || ${patient}, 'Condition.clinical-status@http://terminology.hl7.org/CodeSystem/condition-clinical|active'`,
      PATIENTS,
    );
    await fresh.database.run({ text: 'ANALYZE resource' });
  }, 120_000);
  afterAll(() => fresh.close());

  it('is the one patient’s, of the modality and the findings asked for', async () => {
    const context = await store.read('s7', ['laa']);
    expect(context.patientIds).toEqual(['p8']);
    expect(context.studies.map(({ id }) => id).sort()).toEqual(['s2007', 's4007', 's6007', 's8007']);
    expect(context.studies[0]).toMatchObject({ description: 'CT', series: [{ uid: '1.2' }] });
    expect(context.observations.map(({ id }) => id).sort()).toEqual(['o2007', 'o4007', 'o6007', 'o8007']);
    expect((await store.read('s7', ['other'])).observations).toEqual([]);
    // One of its patient's studies is of another modality.
    expect((await store.read(`s${STUDIES - 1 - PATIENTS}`, ['laa'])).studies).toHaveLength(3);
    expect((await store.readPatient('s7')).problems).toEqual([{ text: '7' }]);
    expect(await store.read('gone', ['laa'])).toEqual({
      patientIds: [],
      studies: [],
      observations: [],
      reasons: [],
    });
  });

  it('of a patient with many studies, is the nearest that have findings', async () => {
    const row = (type: string, id: string, tokens: string, which: string) =>
      fresh.database.run({
        text: `INSERT INTO resource (type, id, version, last_updated, deleted, method, content, tokens, main_date)
          SELECT '${type}', ${id}, 1, now(), false, 'PUT', '{"id":"' || ${id} || '","status":"available","started":"2026-01-03","series":[]}', ARRAY[${tokens}],
            '2026-01-03'::timestamptz - g * interval '1 day' FROM generate_series(1, 60) g WHERE ${which}`,
      });
    const CODE = 'https://prelim.example/fhir/CodeSystem/finding|many';
    await row(
      'ImagingStudy',
      `'m' || g`,
      `'ImagingStudy.subject>Patient/many', 'ImagingStudy.modality@x|CT'`,
      'true',
    );
    const tokens = `'Observation.derived-from>ImagingStudy/m' || g, 'Observation.code@${CODE}'`;
    await row('Observation', `'f' || g`, tokens, 'g % 3 = 0');
    const { studies, observations } = await store.read('m1', ['many']);
    const nearest = Array.from({ length: READ_STUDIES_MAX }, (_, at) => 3 * (at + 1));
    expect(studies.map(({ id }) => id).sort()).toEqual(nearest.map((n) => `m${n}`).sort());
    expect(observations.map(({ id }) => id).sort()).toEqual(nearest.map((n) => `f${n}`).sort());
    // Of hundreds of studies only so many are looked at.
    await row('Observation', `'late' || g`, tokens.replaceAll('many', 'late'), `g > ${NEAR_STUDIES_MAX + 1}`);
    expect((await store.read('m1', ['late'])).observations).toEqual([]);
  });

  it('takes as reasons the codes of the order and the diagnoses it refers to, but none that was entered in error', async () => {
    const put = (type: string, id: string, content: object, tokens = '{}') =>
      fresh.database.run(
        {
          text: `INSERT INTO resource (type, id, version, last_updated, deleted, method, content, tokens)
            VALUES ($1, $2, 1, now(), false, 'PUT', $3, $4::text[])`,
        },
        [type, id, JSON.stringify(content), tokens],
      );
    const inError = { coding: [{ code: 'entered-in-error' }] };
    await put(
      'ImagingStudy',
      'why',
      { status: 'available', series: [] },
      '{ImagingStudy.basedon>ServiceRequest/why,ImagingStudy.basedon>ServiceRequest/plain,ImagingStudy.basedon>ServiceRequest/none}',
    );
    await put('Condition', 'd1', { code: { text: 'Phthisis' } });
    await put('Condition', 'd2', { code: { text: 'Typed wrongly' }, verificationStatus: inError });
    const reasonReference = ['d1', 'd2', 'gone'].map((id) => ({ reference: `Condition/${id}` }));
    await put('ServiceRequest', 'why', { reasonCode: [{ text: 'Cough' }], reasonReference });
    await put('ServiceRequest', 'plain', { reasonCode: [{ text: 'Fever' }] });
    await put('ServiceRequest', 'none', {});
    const { reasons } = await store.readPatient('why');
    expect(reasons.map(({ text }) => text).sort()).toEqual(['Cough', 'Fever', 'Phthisis']);
  });

  it('follows so many merges from record to record, and no further', async () => {
    // merge1 was merged into merge2, that into merge3, and so on.
    await fresh.database.run({
      text: `INSERT INTO resource (type, id, version, last_updated, deleted, method, content, tokens)
        SELECT 'Patient', 'merge' || g, 1, now(), false, 'PUT',
          '{"link":[{"type":"replaced-by","other":{"reference":"Patient/merge' || g + 1 || '"}}]}',
          ARRAY['Patient.link>Patient/merge' || g + 1] FROM generate_series(1, ${MERGE_STEPS_MAX + 2}) g
        UNION ALL SELECT 'ImagingStudy', 'merged', 1, now(), false, 'PUT', '{"status":"available","series":[]}',
          ARRAY['ImagingStudy.subject>Patient/merge1']`,
    });
    const { patientIds } = await store.read('merged', []);
    const reached = Array.from({ length: MERGE_STEPS_MAX + 1 }, (_, at) => `merge${at + 1}`);
    expect([...patientIds].sort()).toEqual(reached);
  });

  it('of a patient with a list of problems without end, is the first of them', async () => {
    await fresh.database.run({
      text: `INSERT INTO resource (type, id, version, last_updated, deleted, method, content, tokens)
        SELECT 'Condition', 'ill' || to_char(g, 'FM0000'), 1, now(), false, 'PUT', '{"code":{"text":"' || g || '"}}',
          ARRAY['Condition.subject>Patient/' || CASE WHEN g <= ${PROBLEMS_MAX} THEN 'ill' ELSE 'worse' END,
            'Condition.clinical-status@http://terminology.hl7.org/CodeSystem/condition-clinical|active']
          FROM generate_series(1, ${2 * PROBLEMS_MAX + 1}) g
        UNION ALL SELECT 'ImagingStudy', 'of-' || who, 1, now(), false, 'PUT', '{"status":"available","series":[]}',
          ARRAY['ImagingStudy.subject>Patient/' || who] FROM unnest(ARRAY['ill', 'worse']) who`,
    });
    const numbers = async (study: string) =>
      (await store.readPatient(study)).problems.map(({ text }) => Number(text)).sort((a, b) => a - b);
    expect(await numbers('of-ill')).toEqual(Array.from({ length: PROBLEMS_MAX }, (_, at) => at + 1));
    expect(await numbers('of-worse')).toEqual(
      Array.from({ length: PROBLEMS_MAX }, (_, at) => PROBLEMS_MAX + at + 1),
    );
  });

  it('costs what that patient has, not what the table has', async () => {
    const counted = countingRows(fresh.database);
    const counting = new StudyContextStore(counted);
    expect((await counting.read('s97', ['laa'])).studies.length).toBeGreaterThan(1);
    expect(counted.rows).toBeGreaterThan(0);
    expect(counted.rows).toBeLessThan(ROWS_MAX);
    counted.rows = 0;
    expect((await counting.readPatient('s97')).problems).toHaveLength(1);
    expect(counted.rows).toBeLessThan(ROWS_MAX);
  });
});
