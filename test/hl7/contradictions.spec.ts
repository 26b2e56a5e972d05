import { describe, expect, it } from 'vitest';
import { type Hl7Message, readMessage } from '../../src/hl7/codec.ts';
import { reportToOru } from '../../src/steps/ris/report-to-oru.ts';
import { readRisProfile } from '../../src/steps/ris/ris-profile.ts';
import { RECORD, REPORT } from './out-record.ts';

type Settings = Readonly<Record<string, unknown>>;

/** The message that leaves under a profile: its bytes as text, and read again. */
function sent(settings: Settings): { readonly text: string; readonly read: Hl7Message } {
  const picture = { contentType: 'image/png', data: 'iVBORw0KGgo=', title: 'Key picture' };
  const { bytes } = reportToOru({
    ...RECORD,
    report: { ...REPORT, presentedForm: [...(REPORT.presentedForm ?? []), picture] },
    profile: readRisProfile(settings),
    controlId: 'P1768000000001',
    now: new Date('2026-01-15T10:15:22Z'),
  });
  return { text: bytes.toString('latin1'), read: readMessage(bytes) };
}
const lines = ({ text }: ReturnType<typeof sent>, start: string) =>
  text.split('\r').filter((line) => line.startsWith(start));
const obx = ({ read }: ReturnType<typeof sent>, is: (type: string, code: string) => boolean) =>
  read.all('OBX').filter((line) => is(line.get(2), line.get(3)));
const narrative = (message: ReturnType<typeof sent>) =>
  obx(message, (type, code) => ['TX', 'FT'].includes(type) && code === '19005-8');
const pdf = (message: ReturnType<typeof sent>) =>
  obx(message, (type) => type === 'ED').map((line) =>
    [line.get(5, 2), line.get(5, 3), line.get(5, 4)].join('^'),
  );
const study = (message: ReturnType<typeof sent>) =>
  obx(message, (_, code) => code === '113014').map((line) => [
    line.get(2),
    line.get(5),
    line.get(5, 2),
    line.get(11),
  ]);
const UID = '1.2.840.99999.1.2.3';

/**
 * Real receivers contradict each other in these. For each: a setting, and what then stands in the message that goes out. Each has at least the two sides that
 * were met.
 */
const CONTRADICTIONS: readonly (readonly [
  name: string,
  sides: readonly (readonly [
    settings: Settings,
    look: (message: ReturnType<typeof sent>) => unknown,
    expected: unknown,
  ])[],
])[] = [
  [
    'the accession number stands in OBR-18, OBR-20, ORC-3 or OBR-3.1',
    [
      [
        { accession: 'OBR-18' },
        ({ read }) => [read.get('OBR', 1, 18), read.get('OBR', 1, 3)],
        ['ACC0012345', 'AI0001'],
      ],
      [
        { accession: 'OBR-20' },
        ({ read }) => [read.get('OBR', 1, 18), read.get('OBR', 1, 20)],
        ['', 'ACC0012345'],
      ],
      [
        { accession: 'ORC-3' },
        ({ read }) => [read.get('OBR', 1, 18), read.get('ORC', 1, 3)],
        ['', 'ACC0012345'],
      ],
      [
        { fillerNumber: 'accession' },
        ({ read }) => [read.get('OBR', 1, 3), read.get('ORC', 1, 3)],
        ['ACC0012345', 'ACC0012345'],
      ],
      [
        { accession: 'none', overrides: [{ at: 'OBR-19', set: '{accession}' }] },
        ({ read }) => read.get('OBR', 1, 18),
        '',
      ],
    ],
  ],
  [
    'an embedded document is Application^PDF, application^pdf or AP^PDF, and a picture an ED of type IM',
    [
      [{ pdf: 'Application^PDF' }, pdf, ['Application^PDF^Base64']],
      [{ pdf: 'application^pdf' }, pdf, ['application^pdf^Base64']],
      [{ pdf: 'AP^PDF' }, pdf, ['AP^PDF^Base64']],
      [{ pdf: 'none' }, pdf, []],
      [{ pdf: 'none', pictures: 'IM' }, pdf, ['IM^PNG^Base64']],
      [{ pdf: 'none', pictures: 'Image' }, pdf, ['Image^PNG^Base64']],
    ],
  ],
  [
    'the Study Instance UID is an ST or an HD, which makes the whole message RAD-28 for some',
    [
      [{ studyUid: 'ST' }, study, [['ST', UID, '', 'O']]],
      [{ studyUid: 'HD' }, study, [['HD', '', UID, 'O']]],
      [{ studyUid: 'none' }, study, []],
    ],
  ],
  [
    'text is a TX for each line, repetitions of one TX, FT with \\.br\\, or NTE',
    [
      [
        { narrative: 'TX-lines' },
        (all) => narrative(all).map((line) => [line.get(2), line.repetitions(5).length]),
        [
          ['TX', 1],
          ['TX', 1],
        ],
      ],
      [
        { narrative: 'TX-repetitions' },
        (all) => narrative(all).map((line) => [line.get(2), line.repetitions(5).length]),
        [['TX', 2]],
      ],
      [
        { narrative: 'FT' },
        (all) => narrative(all).map((line) => [line.get(2), line.get(5).split('\\.br\\').length]),
        [['FT', 2]],
      ],
      [
        { narrative: 'NTE' },
        (all) => [
          narrative(all).length,
          lines(all, 'NTE').some((line) => line.includes('NOT REVIEWED BY A RADIOLOGIST')),
        ],
        [0, true],
      ],
    ],
  ],
  [
    'codes are taken, or text only',
    [
      [
        { codedResults: true },
        (all) => obx(all, (type) => type === 'CWE' || type === 'NM' || type === 'SN').length > 0,
        true,
      ],
      [
        { codedResults: false },
        (all) => obx(all, (type) => type === 'CWE' || type === 'NM' || type === 'SN').length,
        0,
      ],
    ],
  ],
  [
    'a preliminary result is P or R',
    [
      [{ preliminaryStatus: 'P' }, ({ read }) => read.get('OBR', 1, 25), 'P'],
      [{ preliminaryStatus: 'R' }, ({ read }) => read.get('OBR', 1, 25), 'R'],
    ],
  ],
  [
    'the code of a section is LOINC, or that of the order with the suffix IMP',
    [
      [{ sectionCodes: 'LOINC' }, (all) => lines(all, 'OBX|2')[0]?.split('|')[3]?.split('^')[0], '19005-8'],
      [
        { sectionCodes: 'suffix' },
        (all) => lines(all, 'OBX|2')[0]?.split('|')[3]?.split('^')[0],
        '36643-5&IMP',
      ],
    ],
  ],
  [
    'times have the offset of their zone, or none',
    [
      [
        { zoneOffset: true },
        ({ read }) => [read.get('MSH', 1, 7), read.get('OBR', 1, 22)],
        ['20260115101522+0000', '20260115101522+0000'],
      ],
      [
        { zoneOffset: false, timeZone: 'Europe/Berlin' },
        ({ read }) => [read.get('MSH', 1, 7), read.get('OBR', 1, 22)],
        ['20260115111522', '20260115111522'],
      ],
    ],
  ],
  [
    'segments end in a separator or not',
    [
      [{ trailingSeparator: false }, (all) => lines(all, 'PID')[0]?.endsWith('|'), false],
      [{ trailingSeparator: true }, (all) => lines(all, 'PID')[0]?.endsWith('|'), true],
    ],
  ],
  [
    'the last segment ends in CR or not',
    [
      [{ finalCarriageReturn: true }, ({ text }) => text.endsWith('\r'), true],
      [{ finalCarriageReturn: false }, ({ text }) => text.endsWith('\r'), false],
    ],
  ],
  [
    'the version is 2.5.1 or an older one, in its own layout',
    (['2.5.1', '2.5', '2.4', '2.3.1'] as const).map((version) => [
      { version },
      (all) => [
        all.read.get('MSH', 1, 12),
        all.read.get('MSH', 1, 9, 3),
        obx(all, (type) => type === 'CWE' || type === 'CE')[0]?.get(2),
      ],
      [version, version === '2.3.1' ? '' : 'ORU_R01', version.startsWith('2.5') ? 'CWE' : 'CE'],
    ]),
  ],
];

describe.each(CONTRADICTIONS)('Where receivers contradict each other: %s', (_, sides) => {
  it.each(sides)('%o', (settings, look, expected) => {
    expect(look(sent(settings))).toEqual(expected);
  });
});
