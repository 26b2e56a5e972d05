import { type SearchParameter, searchParametersOf } from './search-parameters.ts';

export interface ParameterSource {
  readonly source: SearchParameter;
  readonly targetType?: string;
}

/** The parameters whose index entries answer this one: itself, or those it is made of. */
export function sources(parameter: SearchParameter, targetType?: string): ParameterSource[] {
  if (!parameter.answeredBy) return [targetType ? { source: parameter, targetType } : { source: parameter }];
  return parameter.answeredBy.flatMap((by) => {
    const source = searchParametersOf(parameter.type).get(by.code);
    return source ? sources(source, by.targetType ?? targetType) : [];
  });
}
