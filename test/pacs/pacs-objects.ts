import { multipartBoundary, readMultipart } from '../../src/dicom/read-multipart.ts';

/** A DICOMweb service as a person with a browser would ask it; shares nothing with the server's own client. */
export interface Pacs {
  readonly root: string;
  readonly headers: Readonly<Record<string, string>>;
}

export interface SeriesRow {
  readonly modality: string;
  readonly uid: string;
  readonly instances: number;
}

type Rows = Record<string, { Value?: unknown[] }>[];

/** QIDO-RS: the series of a study, by modality. */
export async function seriesOf(pacs: Pacs, study: string): Promise<SeriesRow[]> {
  const answer = await fetch(`${pacs.root}/studies/${study}/instances?includefield=00080060&limit=1000`, {
    headers: { ...pacs.headers, accept: 'application/dicom+json' },
  });
  const rows = (answer.status === 204 ? [] : await answer.json()) as Rows;
  const bySeries = Map.groupBy(rows, (row) => String(row['0020000E']?.Value?.[0]));
  return [...bySeries]
    .map(([uid, group]) => ({
      uid,
      modality: String(group[0]?.['00080060']?.Value?.[0]),
      instances: group.length,
    }))
    .sort((a, b) => (a.modality < b.modality ? -1 : 1));
}

/** WADO-RS: every file of a series. */
export async function filesOf(pacs: Pacs, study: string, series: string): Promise<Buffer[]> {
  const answer = await fetch(`${pacs.root}/studies/${study}/series/${series}`, {
    headers: { ...pacs.headers, accept: 'multipart/related; type="application/dicom"; transfer-syntax=*' },
  });
  if (!answer.ok || !answer.body) throw new Error(`WADO answered ${answer.status}`);
  const boundary = multipartBoundary(answer.headers.get('content-type') ?? '');
  const limits = { partsMax: 1_000, partBytesMax: 2 ** 30, bodyBytesMax: 2 ** 31 };
  const files: Buffer[] = [];
  const body = (async function* () {
    for await (const chunk of answer.body ?? []) yield Buffer.from(chunk);
  })();
  for await (const part of readMultipart(body, boundary, limits)) {
    const chunks: Buffer[] = [];
    for await (const chunk of part.body) chunks.push(Buffer.from(chunk));
    files.push(Buffer.concat(chunks));
  }
  return files;
}
