import type { FailureIssue } from '../../kernel/errors.ts';
import { instants } from '../search/kinds/date.ts';

/** R4 datatypes.html#primitive: the patterns that the validator does not hold strictly. Values are never repeated. */
export function checkPrimitive(value: unknown, type: string, path: string): FailureIssue[] {
  if (typeof value !== 'string') return [];
  const fault = faultOf(value, type);
  return fault === null ? [] : [{ text: fault, at: path, type: 'value' }];
}

const ID = /^[A-Za-z0-9\-.]{1,64}$/;
const DATE = /^\d{4}(-\d\d(-\d\d)?)?$/;
const DATE_TIME = /^\d{4}(-\d\d(-\d\d(T\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d))?)?)?$/;
const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/;

function faultOf(value: string, type: string): string | null {
  switch (type) {
    case 'id':
      return ID.test(value) ? null : 'An id has 1 to 64 of A-Z, a-z, 0-9, - and .';
    case 'date':
      return DATE.test(value) && instants(value) ? null : 'A date is YYYY, YYYY-MM or YYYY-MM-DD.';
    case 'dateTime':
      return DATE_TIME.test(value) && instants(value)
        ? null
        : 'A dateTime with a time needs seconds and a zone.';
    case 'instant':
      return INSTANT.test(value) && instants(value)
        ? null
        : 'An instant needs date, time with seconds and a zone.';
    default:
      return value.trim() === '' && type !== 'xhtml' ? 'A string must have more than white space.' : null;
  }
}
