import type {
  DiagnosticReport,
  ImagingStudy,
  Observation,
  Patient,
  ServiceRequest,
} from '@medplum/fhirtypes';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { checkElements } from '../../src/fhir/validate/check-elements.ts';
import { hasFinalReport } from '../../src/governance/final-reports.ts';
import { STUDY_NUMBER_SYSTEMS } from '../../src/hl7/assigning-authority.ts';
import { type FilingWorld, makeFilingWorld, message } from './filing-world.ts';

let world: FilingWorld;
beforeAll(async () => {
  world = await makeFilingWorld();
});
afterAll(() => world?.close());

/** Every test has a patient of its own. */
let run = 0;
beforeEach(() => {
  run += 1;
});
const UID = () => `1.2.840.${run}.7`;
const pid = (name = 'A') => `PID|1||${name}${run}^^^HOSP^MR||DOE^JANE||19650214|F`;
const order = () =>
  message('OMI^O23', [pid(), `ORC|NW|P${run}^OE|F${run}^RIS`, `OBR|1|||X^Y^L`, `IPC|ACC${run}||${UID()}`]);
const obr = (status: string, options: { filler?: string; issued?: string } = {}) =>
  `OBR|1|P${run}^OE|${options.filler ?? `R${run}`}^RIS|36643-5^XR Chest 2 Views^LN|||20260115093000+0000|||||||||||ACC${run}||||${options.issued ?? '20260115120000+0000'}||RAD|${status}|||||||9&READER&JANE`;
const TEXT = [
  'OBX|1|TX|59776-5^Findings^LN|1|No infiltrate.||||||F',
  'OBX|2|TX|19005-8^Impression^LN|1|Small nodule.~Follow up.||||||F',
];
const CODED = [
  'OBX|3|NM|246120007^Nodule size^SCT|2|6.2|mm^^UCUM|<5|A|||F|||20260115093000+0000',
  'OBX|4|CE|36118008^Pneumothorax^SCT|3|2667000^Absent^SCT||||||F',
  'OBX|5|SN|30^Volume^L|4|>^2||||||F',
];
const oru = (lines: readonly string[], sender = 'RIS|HOSP') =>
  message('ORU^R01^ORU_R01', [pid(), ...lines], sender);
const reports = () => world.find<DiagnosticReport>('DiagnosticReport', `identifier=R${run}`);
const outcomes = async (...messages: readonly string[]) =>
  (await world.file(...messages)).map((row) => [row.filing_outcome, ...row.flags].join(' '));
const recordOf = async () => {
  const [patient] = await world.find<Patient>('Patient', `identifier=A${run}`);
  const [serviceRequest] = await world.find<ServiceRequest>('ServiceRequest', `identifier=ACC${run}`);
  return { patient: patient!, ...(serviceRequest ? { serviceRequest } : {}) };
};

const STUDY = (): ImagingStudy => ({
  resourceType: 'ImagingStudy',
  status: 'available',
  subject: {},
  identifier: [
    { type: { coding: [{ code: 'ACSN' }] }, system: STUDY_NUMBER_SYSTEMS.accession, value: `ACC${run}` },
  ],
});

describe('The final report of a radiologist (ORU^R01)', () => {
  it('becomes a report of its own, with text, coded findings, reader, order and study', async () => {
    await world.file(order());
    const record = await recordOf();
    const study: ImagingStudy & { id: string } = {
      resourceType: 'ImagingStudy',
      id: `study-${run}`,
      status: 'available',
      identifier: [{ system: 'urn:dicom:uid', value: `urn:oid:${UID()}` }],
      subject: { reference: `Patient/${record.patient.id}` },
    };
    await world.database.transaction((tx) => world.store.write(tx, [{ kind: 'update', resource: study }]));
    const lines = [obr('F'), `OBX|1|ST|113014^DICOM Study^DCM||${UID()}||||||O`, ...TEXT, ...CODED];
    const [row] = await world.file(oru(lines));
    expect(row).toMatchObject({ filing_outcome: 'filed', flags: [], mrn: `A${run}`, accession: `ACC${run}` });
    const [report] = await reports();
    expect(report).toMatchObject({
      status: 'final',
      subject: { reference: `Patient/${record.patient.id}` },
      basedOn: [{ reference: `ServiceRequest/${record.serviceRequest!.id}` }],
      imagingStudy: [{ reference: `ImagingStudy/${study.id}` }],
      effectiveDateTime: '2026-01-15T09:30:00+00:00',
      issued: '2026-01-15T12:00:00+00:00',
      resultsInterpreter: [{ display: 'JANE READER', identifier: { value: '9' } }],
      conclusion: 'Small nodule.\nFollow up.',
    });
    const text = Buffer.from(report!.presentedForm![0]!.data!, 'base64').toString();
    expect(text).toBe('No infiltrate.\nSmall nodule.\nFollow up.');
    const lines2 = await Promise.all(report!.result!.map((one) => world.read<Observation>(one.reference)));
    expect(lines2).toMatchObject([
      {
        status: 'final',
        valueQuantity: { value: 6.2, unit: 'mm', system: 'http://unitsofmeasure.org', code: 'mm' },
        referenceRange: [{ text: '<5' }],
        interpretation: [{ coding: [{ code: 'A' }] }],
      },
      { valueCodeableConcept: { coding: [{ code: '2667000' }] } },
      { valueQuantity: { value: 2, comparator: '>' } },
    ]);
    for (const { version: _, ...resource } of [report!, ...lines2])
      expect(checkElements(resource)).toEqual([]);
  });

  it('is corrected as a whole: lines that are gone do not count any more, the text is the new one', async () => {
    await world.file(oru([obr('F'), ...TEXT, ...CODED]));
    const [first] = await reports();
    await world.file(oru([obr('C', { issued: '20260115130000+0000' }), CODED[0]!.replace('6.2', '7.1')]));
    const [report, ...more] = await reports();
    expect(more).toEqual([]);
    expect(report).toMatchObject({ id: first!.id, version: '2', status: 'corrected' });
    expect(report!.conclusion).toBeUndefined();
    expect(report!.result).toHaveLength(1);
    const lines = await Promise.all(first!.result!.map((one) => world.read<Observation>(one.reference)));
    expect(lines.map((one) => [one.status, one.valueQuantity?.value])).toEqual([
      ['final', 7.1],
      ['entered-in-error', undefined],
      ['entered-in-error', 2],
    ]);
  });

  it('is valid FHIR R4 with several values in one line, and with control characters', async () => {
    const lines = [
      'OBX|1|CWE|1^Finding^L||A^Ma\\X07\\ss^L~B^Cyst^L||||||F||||||7^READ\\X1F\\ER',
      'OBX|2|TX|19005-8^Imp^LN||No\\X01\\ne||||||F',
    ];
    await world.file(oru([obr('F'), ...lines]));
    const [report] = await reports();
    const line = await world.read<Observation>(report!.result![0]!.reference);
    for (const { version: _, ...resource } of [report!, line]) expect(checkElements(resource)).toEqual([]);
    expect(line.component?.map((one) => one.valueCodeableConcept?.text)).toEqual(['Mass', 'Cyst']);
    expect(report!.conclusion).toBe('None');
  });

  it('takes an addendum that is sent as A, and nothing else that is sent so', async () => {
    const more = 'OBX|9|TX|19005-8^Impression^LN|1|ADDENDUM: rib fracture.||||||F';
    const at = (hour: string, status = 'A') => obr(status, { issued: `20260115${hour}0000+0000` });
    expect(
      await outcomes(
        oru([at('10'), ...TEXT]),
        oru([at('12', 'F'), ...TEXT]),
        oru([at('11'), ...TEXT, more]),
        oru([at('13'), ...TEXT, more.replace('||F', '||P')]),
        oru([at('14'), ...TEXT, more]),
        oru([at('15', 'P'), ...TEXT]),
      ),
    ).toEqual([
      'filed result-without-order',
      'filed result-without-order',
      'filed preliminary-after-final',
      'filed preliminary-after-final',
      'filed addendum result-without-order',
      'filed preliminary-after-final',
    ]);
    const [report] = await reports();
    expect(report).toMatchObject({ status: 'appended', version: '3' });
    expect(report!.conclusion).toContain('rib fracture');
    expect(
      await hasFinalReport(world.store, { patient: (await recordOf()).patient, imagingStudy: STUDY() }),
    ).toBe(true);
  });

  it('loses nothing of the final report by an addendum that is sent alone', async () => {
    const at = (hour: string, status: string) => obr(status, { issued: `20260115${hour}0000+0000` });
    const more = 'OBX|1|TX|19005-8^Impression^LN|9|ADDENDUM: rib fracture.||||||F';
    const alone = (hour: string) => oru([at(hour, 'A'), more]);
    expect(await outcomes(oru([at('12', 'F'), ...TEXT, ...CODED]), alone('14'), alone('15'))).toEqual([
      'filed result-without-order',
      'filed addendum result-without-order',
      'filed addendum result-without-order',
    ]);
    const [report] = await reports();
    expect(report!.conclusion).toBe('Small nodule.\nFollow up.\nADDENDUM: rib fracture.');
    const [form] = report!.presentedForm!;
    const text = Buffer.from(form!.data!, 'base64').toString();
    expect(text.indexOf('Small nodule.')).toBeGreaterThanOrEqual(0);
    expect(text.indexOf('rib fracture')).toBeGreaterThan(text.indexOf('Small nodule.'));
    expect(report!.result!.length).toBeGreaterThan(0);
    for (const { reference } of report!.result!)
      expect(await world.read<Observation>(reference)).toMatchObject({ status: 'final' });
  });

  it('keeps its lines where the ORC stands after the OBR, and is refused where they have no OBR of their own', async () => {
    const orc = (number: string) => `ORC|RE|${number}^OE`;
    expect(await outcomes(oru([obr('F'), orc(`P${run}`), ...TEXT]))).toEqual(['filed result-without-order']);
    expect((await reports())[0]?.conclusion).toContain('Small nodule.');
    const [row] = await world.file(oru([obr('F', { filler: `X${run}` }), ...TEXT, orc('OTHER'), ...CODED]));
    expect(row).toMatchObject({ filing_outcome: 'hl7.missing', filing_location: 'OBR^2' });
    const [none] = await world.file(
      oru([orc('OTHER'), 'NTE|1||x', obr('F', { filler: `Y${run}` }), orc('LAST'), ...CODED]),
    );
    expect(none).toMatchObject({ filing_outcome: 'hl7.missing', filing_location: 'OBR^2' });
  });

  it('keeps the lines of each of several OBR that have their ORC after them, and takes no document of the order (2.8) for a result', async () => {
    const two = (number: string) => [
      obr('F', { filler: number }).replace(`P${run}^OE`, `${number}^OE`),
      `ORC|RE|${number}^OE`,
      `OBX|1|TX|19005-8^Impression^LN|1|Of ${number}.||||||F`,
    ];
    const conclusions = async () =>
      Promise.all(
        ['Q', 'S'].map(
          async (name) =>
            (await world.find<DiagnosticReport>('DiagnosticReport', `identifier=${name}${run}`))[0]
              ?.conclusion,
        ),
      );
    await world.file(oru([...two(`Q${run}`), ...two(`S${run}`)]));
    expect(await conclusions()).toEqual([`Of Q${run}.`, `Of S${run}.`]);
    await world.file(
      oru([
        ...[`ORC|RE|P${run}^OE`, 'OBX||TX|DOC^Of the order||Request form||||||F', 'TXA|1|DIS'],
        ...[obr('F'), 'OBX|1|TX|19005-8^Impression^LN|1|Normal.||||||F'],
      ]),
    );
    const [report] = await reports();
    expect(Buffer.from(report!.presentedForm![0]!.data!, 'base64').toString()).toBe('Normal.');
  });

  it('keeps text that its sender broke into lines, whatever they say', async () => {
    await world.file(
      oru([obr('F'), 'OBX|1|TX|19005-8^Impression^LN|1|RIGHT:\nRLL\nnodule 8 mm\n\nCTA\nadvised||||||F']),
    );
    expect((await reports())[0]?.conclusion).toBe('RIGHT:\nRLL\nnodule 8 mm\nCTA\nadvised');
  });

  it('stays final when a preliminary or an older version comes later, and the same again changes nothing', async () => {
    const final = oru([obr('F'), ...TEXT]);
    expect(
      await outcomes(
        oru([obr('P', { issued: '20260115110000+0000' }), ...TEXT]),
        final,
        oru([obr('P', { issued: '20260115130000+0000' })]),
        oru([obr('C', { issued: '20260115100000+0000' })]),
        final,
      ),
    ).toEqual([
      'filed result-without-order',
      'filed result-without-order',
      'filed preliminary-after-final',
      'filed older-version',
      'filed result-without-order',
    ]);
    const [report] = await reports();
    expect(report).toMatchObject({ status: 'final', version: '2', conclusion: 'Small nodule.\nFollow up.' });
  });

  it.each([
    ['P', 'preliminary'],
    ['F', 'final'],
    ['C', 'corrected'],
    ['X', 'cancelled'],
    ['R', 'partial'],
    ['A', 'partial'],
    ['M', 'preliminary'],
    ['O', 'registered'],
    ['N', 'registered'],
    ['U', 'final'],
  ])('with OBR-25 %s is %s', async (letter, status) => {
    await world.file(oru([obr(letter), ...TEXT]));
    expect((await reports())[0]!.status).toBe(status);
  });

  it('without OBR-25 is final where all its lines are, else of unknown worth, and is flagged', async () => {
    expect(await outcomes(oru([obr(''), ...TEXT]))).toEqual(['filed status-from-lines result-without-order']);
    expect((await reports())[0]!.status).toBe('final');
    const open = oru([obr('', { filler: `Q${run}` }), TEXT[0]!.replace(/F$/, 'P')]);
    expect(await outcomes(open)).toEqual(['filed status-unknown result-without-order']);
  });

  it('takes a PDF and a link as they came, and leaves out a line that was withdrawn', async () => {
    await world.file(
      oru([
        obr('F'),
        'OBX|1|ED|11528-7^Report^LN||RIS^Application^PDF^Base64^JVBERi0xLjQK||||||F',
        'OBX|2|RP|V^Viewer^L||https://viewer.invalid/s/1^RIS^text^html||||||F',
        'OBX|3|TX|19005-8^Impression^LN||Wrong line||||||D',
        'NTE|1||Dictated',
      ]),
    );
    const [report] = await reports();
    expect(report!.presentedForm).toMatchObject([
      { contentType: 'text/plain; charset=utf-8', data: Buffer.from('Dictated').toString('base64') },
      { contentType: 'application/pdf', data: 'JVBERi0xLjQK', title: 'Report' },
      { url: 'https://viewer.invalid/s/1' },
    ]);
    expect(report!.conclusion).toBeUndefined();
  });

  it('does not change a patient who is known, and is refused under the number of another patient', async () => {
    await world.file(order());
    await world.file(oru([obr('F')]).replace('DOE^JANE', 'DO^J'));
    expect((await recordOf()).patient.name?.[0]?.family).toBe('DOE');
    const [row] = await world.file(message('ORU^R01', [pid('B'), obr('F')], 'RIS|HOSP'));
    expect(row).toMatchObject({ filing_outcome: 'order.other-patient', filing_location: 'OBR^1^3' });
    expect(await world.find('Patient', `identifier=B${run}`)).toEqual([]);
  });

  it('is found by the accession number where the site has it', async () => {
    const step = world.otherStep({ settings: { HL7_ACCESSION_FROM: 'OBR-20,IPC-1' } });
    await world.keep(
      order(),
      oru([obr('F').replace(`P${run}^OE`, '').replace(`|ACC${run}|||`, `|||ACC${run}|`)]),
    );
    while ((await step.run({})).kind === 'later');
    const { serviceRequest } = await recordOf();
    expect((await reports())[0]!.basedOn).toEqual([{ reference: `ServiceRequest/${serviceRequest!.id}` }]);
  });

  it('is tied to no order of another patient', async () => {
    await world.file(order());
    const text = message('ORU^R01', [pid('B'), obr('F')], 'RIS|HOSP');
    expect(await outcomes(text)).toEqual(['filed order-of-other-patient result-without-order']);
    expect((await reports())[0]!.basedOn).toBeUndefined();
  });

  it.each([
    ['no OBR', [], 'hl7.missing', 'OBR'],
    ['no number', ['OBR|1|||X^Y^L'], 'hl7.missing', 'OBR^1^3'],
    ['a status that answers a query', ['OBR|1||1|X^Y^L|||||||||||||||||||||Z'], 'hl7.value', 'OBR^1^25'],
  ])('is refused with %s, by name and place', async (_, lines, outcome, location) => {
    const [row] = await world.file(oru(lines));
    expect(row).toMatchObject({ filing_outcome: outcome, filing_location: location });
  });
});

describe('A result of ours that comes back', () => {
  const own = async () => {
    const patientId = `own-${run}`;
    await world.database.transaction((tx) =>
      world.store.write(tx, [
        {
          kind: 'update',
          resource: {
            resourceType: 'DiagnosticReport',
            id: `ours-${run}`,
            status: 'preliminary',
            code: { text: 'AI' },
            subject: { reference: `Patient/${patientId}` },
            identifier: [{ system: 'https://prelim.example/fhir/NamingSystem/filler', value: `AI${run}` }],
          },
        },
      ]),
    );
  };

  it('is none by our name alone: another system of the site may have it', async () => {
    expect(await outcomes(oru([obr('F'), ...TEXT], 'PRELIM|HOSP'))).toEqual(['filed result-without-order']);
    expect(await reports()).toHaveLength(1);
  });

  it('is known by our names in MSH-3 and MSH-4, or by our number, and changes nothing', async () => {
    await own();
    const byNumber = oru([obr('F', { filler: `AI${run}` }), ...TEXT]);
    expect(await outcomes(oru([obr('P'), ...TEXT], 'PRELIM|RADIOLOGY'), byNumber)).toEqual([
      'filed own-echo',
      'filed own-echo',
    ]);
    expect(await reports()).toEqual([]);
    expect(await world.read<DiagnosticReport>(`DiagnosticReport/ours-${run}`)).toMatchObject({
      status: 'preliminary',
      version: '1',
    });
    expect(await world.find('Patient', `identifier=A${run}`)).toEqual([]);
  });
});

describe('Whether a final report was seen', () => {
  const seen = async () => hasFinalReport(world.store, await recordOf());

  it('is so from the first final of another on, by the numbers of the order', async () => {
    await world.file(order());
    expect(await seen()).toBe(false);
    await world.file(oru([obr('P', { issued: '20260115110000+0000' }), ...TEXT]));
    expect(await seen()).toBe(false);
    await world.file(oru([obr('F'), ...TEXT]));
    expect(await seen()).toBe(true);
    await world.file(oru([obr('X', { issued: '20260115140000+0000' })]));
    expect(await seen()).toBe(false);
  });

  it('counts neither a report of ours, however final, nor one of another patient with the same accession number', async () => {
    await world.file(order());
    const { patient, serviceRequest } = await recordOf();
    const accession = { system: 'https://prelim.example/fhir/NamingSystem/accession', value: `ACC${run}` };
    const filler = { system: 'https://prelim.example/fhir/NamingSystem/filler', value: `AI${run}` };
    await world.database.transaction((tx) =>
      world.store.write(tx, [
        {
          kind: 'update',
          resource: {
            resourceType: 'DiagnosticReport',
            id: `final-${run}`,
            status: 'final',
            code: { text: 'AI' },
            subject: { reference: `Patient/${patient.id}` },
            basedOn: [{ reference: `ServiceRequest/${serviceRequest!.id}` }],
            identifier: [accession, filler],
          },
        },
      ]),
    );
    await world.file(message('ORU^R01', [pid('B'), obr('F')], 'RIS|HOSP'));
    expect(await seen()).toBe(false);
  });

  it('is so by the Study Instance UID, whoever the patient is', async () => {
    const imagingStudy: ImagingStudy = {
      resourceType: 'ImagingStudy',
      status: 'available',
      subject: {},
      identifier: [{ system: 'urn:dicom:uid', value: `urn:oid:${UID()}` }],
    };
    const exam = { patient: { resourceType: 'Patient', id: 'unknown' } as Patient, imagingStudy };
    expect(await hasFinalReport(world.store, exam)).toBe(false);
    await world.file(oru([obr('F'), `OBX|1|HD|113014^DICOM Study^DCM||^${UID()}^ISO||||||O`]));
    expect(await hasFinalReport(world.store, exam)).toBe(true);
  });

  it('is so after a merge too', async () => {
    await world.file(oru([obr('F'), ...TEXT]), order());
    await world.file(message('ADT^A40', [pid('B'), `MRG|A${run}^^^HOSP^MR`]));
    const [patient] = await world.find<Patient>('Patient', `identifier=B${run}`);
    const { serviceRequest } = await recordOf();
    expect(await hasFinalReport(world.store, { patient: patient!, serviceRequest: serviceRequest! })).toBe(
      true,
    );
  });
});
