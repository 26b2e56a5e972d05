import type { SearchKind } from '../search-kind.ts';
import type { ParameterKind } from '../search-parameters.ts';
import { compositeKind } from './composite.ts';
import { dateKind } from './date.ts';
import { nearKind } from './near.ts';
import { numberKind } from './number.ts';
import { quantityKind } from './quantity.ts';
import { referenceKind } from './reference.ts';
import { stringKind } from './string.ts';
import { tokenKind } from './token.ts';
import { uriKind } from './uri.ts';

export const KINDS: Readonly<Record<ParameterKind, SearchKind>> = {
  composite: compositeKind,
  date: dateKind,
  number: numberKind,
  quantity: quantityKind,
  reference: referenceKind,
  special: nearKind,
  string: stringKind,
  token: tokenKind,
  uri: uriKind,
};
