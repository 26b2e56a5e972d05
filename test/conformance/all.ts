import { batch, transaction } from './bundle.ts';
import type { Group } from './check.ts';
import { conditional } from './conditional.ts';
import { create } from './create.ts';
import { deletion } from './delete.ts';
import { history } from './history.ts';
import { metadata } from './metadata.ts';
import { negotiation, subsets } from './negotiation.ts';
import { operations, terminology } from './operations.ts';
import { fhirPathPatch, jsonPatch } from './patch.ts';
import { read } from './read.ts';
import {
  compositeSearch,
  dateSearch,
  injection,
  numberSearch,
  quantitySearch,
  referenceSearch,
  stringSearch,
  tokenSearch,
  uriSearch,
} from './search-kinds.ts';
import { chains, common, includes, paging, reverseChains, sorting } from './search-language.ts';
import { types } from './types.ts';
import { update } from './update.ts';
import { validation } from './validation.ts';
import { vread } from './vread.ts';

export const GROUPS: readonly Group[] = [
  metadata,
  read,
  vread,
  create,
  update,
  deletion,
  conditional,
  jsonPatch,
  fhirPathPatch,
  history,
  batch,
  transaction,
  negotiation,
  subsets,
  validation,
  stringSearch,
  tokenSearch,
  referenceSearch,
  dateSearch,
  numberSearch,
  quantitySearch,
  uriSearch,
  compositeSearch,
  chains,
  reverseChains,
  includes,
  sorting,
  paging,
  common,
  injection,
  types,
  terminology,
  operations,
];
