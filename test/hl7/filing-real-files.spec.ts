import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it, onTestFinished } from 'vitest';
import { readAck } from '../../src/hl7/ack.ts';
import { Outbox } from '../../src/queue/outbox.ts';
import { DoorEvents } from '../../src/steps/inlet/door-events.ts';
import { FilingCall } from '../../src/steps/inlet/filing-call.ts';
import { InboundMessageStore } from '../../src/steps/inlet/inbound-message.store.ts';
import { MessageInlet } from '../../src/steps/inlet/message-inlet.ts';
import { makeFilingWorld } from './filing-world.ts';

/**
 * Messages of real senders, as they are: what each is answered, and what it becomes or why it is refused. Several messages of one file
 * stand one after the other.
 */
const EXPECTED: Readonly<Record<string, readonly string[]>> = {
  'ack/ack_AA.hl7': ['AR hl7.unsupported-type'],
  'ack/ack_AE_ERR_myiis.hl7': ['(no answer asked) hl7.unsupported-type'],
  'adt/ADT-A01-01.hl7': ['AA filed', '1 in-progress Encounter', '1 Patient'],
  'adt/ADT-A04-01.hl7': ['AA filed', '1 in-progress Encounter', '1 Patient'],
  'adt/ADT-A08-01.hl7': ['AA filed', '1 finished Encounter', '1 Patient'],
  'adt/ADT-A11-01.hl7': ['AA filed', '1 cancelled Encounter', '1 Patient'],
  'adt/ADT-A31-01.hl7': ['AA filed', '1 finished Encounter', '1 Patient'],
  'adt/ADT-A40-01.hl7': ['(no answer asked) filed merged-unknown', '2 Patient'],
  'adt/ADT01-23.hl7': ['AA filed', '1 in-progress Encounter', '1 Patient'],
  'adt/ADT04-28.hl7': ['AA filed not-production', '1 in-progress Encounter', '1 Patient'],
  'adt/ADT_A31_update.hl7': ['AA filed', '1 Patient'],
  'adt/ADT_A40_merge.hl7': ['AA filed merged-unknown', '2 Patient'],
  'adt/adt_a01_ex1.hl7': ['AA filed', '1 in-progress Encounter', '1 Patient'],
  'adt/adt_a04_ex1.hl7': ['AA filed', '1 in-progress Encounter', '1 Patient'],
  'adt/adt_a08_ex1.hl7': ['(no answer asked) filed', '1 in-progress Encounter', '1 Patient'],
  'adt/genderharmony_ADT_A08_v2.9.1.hl7': ['AA filed visit-without-number', '1 Patient'],
  'adt/healthcare-it-systems_adt.hl7': ['AR hl7.missing'],
  'odd/ORU-multiline-short.hl7': [
    'AA filed not-production result-without-order',
    '1 final DiagnosticReport',
    '1 Patient',
  ],
  'odd/bad-phone-example.hl7': ['AR hl7.unsupported-type'],
  'odd/hapi_uuencoded.txt': ['AR hl7.unreadable'],
  'odd/hapi_uuencoded_escaped.txt': ['AR hl7.unreadable'],
  'odd/mirth_batch_FHS_BHS.txt': [
    'CA filed birth-date-unreadable visit-without-number',
    '17 final Observation',
    '1 Patient',
    '1 active ServiceRequest',
  ],
  'odd/mirth_hl7_with_SOM_marker.txt': ['AR hl7.unreadable'],
  'odd/mirth_repetitions.txt': ['CR hl7.missing'],
  'odd/mirth_whitespace.txt': ['CR hl7.missing'],
  'odd/reportstream_batch.hl7': [
    '(no answer asked) filed result-without-order',
    '(no answer asked) filed result-without-order',
    '2 final DiagnosticReport',
    '10 final Observation',
    '2 Patient',
  ],
  'odd/sample_unix.hl7': ['CR hl7.delimiters'],
  'orders/EPIC_ORM_O01_order_placed.txt': [
    'AA filed not-production',
    '1 in-progress Encounter',
    '1 Patient',
    '1 active ServiceRequest',
  ],
  'orders/LAB-ORM-1.hl7': ['AA filed', '1 in-progress Encounter', '1 Patient', '1 active ServiceRequest'],
  'orders/OMG-O19-01.hl7': ['AA hl7.missing at ORC^1^2'],
  'orders/OMG_O19_eyecare.hl7': [
    'AA filed priority-unknown',
    '1 in-progress Encounter',
    '2 final Observation',
    '1 Patient',
    '1 active ServiceRequest',
  ],
  'orders/OMI_O23_imaging_order.hl7': [
    'AA filed priority-unknown',
    '1 in-progress Encounter',
    '2 final Observation',
    '1 Patient',
    '1 active ServiceRequest',
  ],
  'orders/ORM-O01-01.hl7': [
    'AA filed',
    '1 Condition',
    '1 in-progress Encounter',
    '1 preliminary Observation',
    '1 Patient',
    '1 active ServiceRequest',
  ],
  'orders/ORM-O01-03.hl7': [
    'AA filed',
    '1 Condition',
    '1 in-progress Encounter',
    '1 Patient',
    '2 active ServiceRequest',
  ],
  'orders/catalyze_orm.hl7': [
    'AA filed two-placer-numbers two-filler-numbers not-production',
    '1 Condition',
    '1 in-progress Encounter',
    '1 Patient',
    '1 active ServiceRequest',
  ],
  'orders/genderharmony_OMI_O23_v2.9.1.hl7': ['AA filed', '1 Patient', '1 active ServiceRequest'],
  'orders/mirth_ORM_O01_MRI.txt': [
    'CA filed birth-date-unreadable visit-without-number',
    '17 final Observation',
    '1 Patient',
    '1 active ServiceRequest',
  ],
  'orders/orm_o01_ex1.hl7': [
    'AA filed visit-without-number',
    '1 Condition',
    '1 final Observation',
    '1 Patient',
    '1 active ServiceRequest',
  ],
  'orders/reportstream_ORM_O01_v2.7.hl7': ['(no answer asked) hl7.value at ORC^1^1'],
  'oru/EPIC_ORU_R01_resulted.txt': ['AR hl7.missing'],
  'oru/LAB-ORU-1.hl7': [
    'AA filed status-unknown not-production result-without-order',
    '1 final DiagnosticReport',
    '1 unknown DiagnosticReport',
    '1 final Observation',
    '7 preliminary Observation',
    '1 Patient',
  ],
  'oru/ORU-R01-01.hl7': [
    'CA filed not-production result-without-order',
    '1 final DiagnosticReport',
    '1 preliminary Observation',
    '1 registered Observation',
    '1 Patient',
  ],
  'oru/ORU_R01_radiology_SR.hl7': [
    'AA filed result-without-order',
    '1 final DiagnosticReport',
    '2 final Observation',
    '1 unknown Observation',
    '1 Patient',
  ],
  'oru/cerner_lead.hl7': [
    'AA filed result-without-order',
    '1 final DiagnosticReport',
    '1 final Observation',
    '1 Patient',
  ],
  'oru/genderharmony_ORU_R01_ORU_R01_v2.9.1.hl7': [
    'AA filed status-from-lines result-without-order',
    '1 final DiagnosticReport',
    '1 Patient',
  ],
  'oru/nist_oru_case1.hl7': [
    'AA filed result-without-order',
    '1 final DiagnosticReport',
    '1 final Observation',
    '1 Patient',
  ],
  'oru/oru_r01_ex1.hl7': ['AA hl7.missing at OBR^1^3'],
  'other/MDM-T02-01.hl7': ['AR hl7.unsupported-type'],
  'other/SIU-S12-01.hl7': ['AR hl7.unsupported-type'],
};

const FOLDER = '../shared/data/hl7';
const files = existsSync(FOLDER)
  ? ['ack', 'adt', 'odd', 'orders', 'oru', 'other'].flatMap((folder) =>
      readdirSync(`${FOLDER}/${folder}`).map((name) => `${folder}/${name}`),
    )
  : [];

interface Row {
  readonly outcome: string;
  readonly filing_outcome: string | null;
  readonly filing_location: string;
  readonly flags: string[];
}

describe(files.length > 0 ? 'Messages of real senders' : 'skipped: no shared data', () => {
  it.skipIf(files.length === 0)('are all in the table', () => {
    expect(Object.keys(EXPECTED).toSorted()).toEqual(files.toSorted());
  });

  it.skipIf(files.length === 0).each(files.length > 0 ? files : ['none'])('%s', async (file) => {
    const world = await makeFilingWorld();
    onTestFinished(world.close);
    const messages = new InboundMessageStore(world.database);
    const call = new FilingCall(world.database, new Outbox(), messages);
    onTestFinished(() => call.beforeApplicationShutdown());
    const inlet = new MessageInlet(
      messages,
      call,
      new DoorEvents(world.database, { warn: () => undefined }),
      { HL7_CHARSET: 'UNICODE UTF-8' },
    );
    const answers = (await inlet.take(readFileSync(`${FOLDER}/${file}`))).map((ack) => readAck(ack)!);
    expect(await world.step.run({})).toMatchObject({ kind: 'done' });
    const rows = await world.database.run<Row>({
      text: 'SELECT outcome, filing_outcome, filing_location, flags FROM hl7_inbound ORDER BY id',
    });
    const kinds = await world.database.run<{ type: string; status: string; n: number }>({
      text: `SELECT type, coalesce(content::json->>'status', '') AS status, count(*)::int AS n
        FROM resource WHERE NOT deleted GROUP BY 1, 2 ORDER BY 1, 2`,
    });
    const became = kinds.map(({ type, status, n }) =>
      [n, status, type].filter((one) => one !== '').join(' '),
    );
    const ends = rows.map(({ outcome, filing_outcome, filing_location, flags }, at) => {
      // MSH-15 and MSH-16 may ask for no answer at all.
      const code = answers[at]?.code ?? '(no answer asked)';
      if (outcome !== 'accept') return `${code} ${outcome}`;
      const end = filing_outcome === 'filed' ? 'filed' : `${filing_outcome} at ${filing_location}`;
      // Some are of 2029: whether that is ahead is a question of when this runs.
      return [code, end, ...flags.filter((flag) => flag !== 'time-ahead')].join(' ');
    });
    expect([...ends, ...became]).toEqual(EXPECTED[file]);
  });
});
