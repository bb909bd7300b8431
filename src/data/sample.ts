/** Long contexts with questions and answers. */

export interface Sample {
  /** Name of its data set: a known one, or the file's name without its ending. */
  data: string
  /** Row in the data set, from 0. */
  index: number
  context: string
  queries: string[]
  /** One a query; empty where the data set has no `ground_truth`. */
  answers: string[]
  /** One a query, in data sets of code: the language, the repository, the function asked for. */
  lang?: string[]
  repo?: string[]
  funcNames?: string[]
  /** One a query, in mixed data sets: the set whose metric judges it. */
  tasks?: string[]
  /** Of the data set needle. */
  needle?: NeedlePosition
}

export interface NeedlePosition {
  /** Where the needle lies, percent of the context. */
  depth: number
  /** Context tokens asked for. */
  length: number
}

/** The part of a tokenizer that measuring and cutting texts needs. */
export interface TextTokenizer {
  encode(text: string): ArrayLike<number> | Promise<ArrayLike<number>>
  decode(ids: ArrayLike<number>): string | Promise<string>
}
