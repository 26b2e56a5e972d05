import { jsonString } from '../../dicom/json-values.ts';
import type { DicomMoment } from '../../dicom/result-object.ts';
import type { DicomJson } from '../../dicom/study-source.ts';
import { dateTimeToTimestamp } from '../../hl7/timestamp.ts';

/**
 * An instant as DICOM date and time. Timezone Offset From UTC (0008,0201) holds for every time of an object, and study times are copied:
 * so ours are in the study's own offset, else in the site's zone, else in UTC.
 */
export function dicomMoment(instant: string, source: DicomJson, timeZone: string | null): DicomMoment {
  const offset = /^([+-])(\d\d)(\d\d)$/.exec(jsonString(source, '00080201') ?? '');
  const at = Date.parse(instant);
  if (Number.isNaN(at)) return { date: '19700101', time: '000000' };
  if (offset) {
    const minutes = (offset[1] === '-' ? -1 : 1) * (Number(offset[2]) * 60 + Number(offset[3]));
    return split(new Date(at + minutes * 60_000).toISOString().slice(0, 19).replace(/[-:T]/g, ''));
  }
  return split(
    dateTimeToTimestamp(new Date(at).toISOString(), { timeZone: timeZone ?? 'UTC', zoneOffset: false }),
  );
}

const split = (timestamp: string): DicomMoment => ({
  date: timestamp.slice(0, 8),
  time: timestamp.slice(8, 14) || '000000',
});
