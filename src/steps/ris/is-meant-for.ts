import { authorityOfIdentifier } from '../../hl7/assigning-authority.ts';
import type { DestinationFilter } from './destination-file.ts';
import type { ReportRecord } from './read-record.ts';

/** Does a receiver with this filter want the report? Every list that is given must have one of the record's. */
export function isMeantFor(filter: DestinationFilter, record: ReportRecord): boolean {
  const { modality, performer, orderFrom } = filter;
  return (
    hasOne(modality, modalitiesOf(record)) &&
    hasOne(performer, performersOf(record)) &&
    hasOne(orderFrom, authoritiesOf(record))
  );
}

const hasOne = (wanted: readonly string[] | undefined, there: readonly string[]): boolean =>
  wanted === undefined || wanted.some((one) => there.includes(one));

const modalitiesOf = ({ imagingStudy }: ReportRecord): string[] =>
  [...(imagingStudy.modality ?? []), ...(imagingStudy.series ?? []).map((one) => one.modality)].flatMap(
    (coding) => coding?.code ?? [],
  );

const performersOf = ({ report }: ReportRecord): string[] =>
  (report.performer ?? []).flatMap(({ reference, display, identifier }) =>
    [reference, display, identifier?.value].filter((text) => text !== undefined),
  );

const authoritiesOf = ({ serviceRequest }: ReportRecord): string[] =>
  (serviceRequest?.identifier ?? [])
    .filter((one) => one.type?.coding?.[0]?.code === 'PLAC')
    .flatMap((one) => {
      const { namespace, universalId } = authorityOfIdentifier(one);
      return [namespace, universalId].filter((text) => text !== '');
    });
