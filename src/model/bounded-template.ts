/** Jinja with an end: a template comes with the model, and what it is given to render is three short messages. */

import { Environment, Interpreter, Template } from '@huggingface/jinja'

/** Published templates take some hundred steps for three messages. */
export const templateBounds = {
  /** Expressions and statements; a list counts with its length. */
  steps: 200_000,
  /** Characters of a text, the output's too. */
  characters: 1_000_000,
  /** Calls and blocks within one another. */
  depth: 400,
  /** Numbers that range() makes. */
  range: 100_000,
  /** Characters of the template itself. */
  source: 1_000_000,
} as const

/** Thrown where a template asks for more. */
export class TemplateBound extends Error {}

export class BoundedTemplate {
  private readonly template: Template

  /** @throws Error when it does not parse, TemplateBound when it is too long */
  constructor(source: string) {
    const { source: most } = templateBounds
    if (source.length > most)
      throw new TemplateBound(`it has ${source.length} characters, more than the ${most} that are allowed`)
    this.template = new Template(source)
  }

  /** @throws Error that the template raises, TemplateBound */
  render(items: Readonly<Record<string, unknown>>): string {
    const environment = new Environment()
    for (const [name, value] of Object.entries({ ...globals, ...items })) environment.set(name, value)
    return String(new BoundedInterpreter(environment).run(this.template.parsed).value)
  }
}

interface Value {
  value: unknown
}

/** The library's, whose own types do not resolve here. */
const LibraryInterpreter = Interpreter as unknown as new (
  environment: unknown,
) => {
  run(program: unknown): Value
  evaluate(node: unknown, environment: unknown): Value
}

class BoundedInterpreter extends LibraryInterpreter {
  private steps = 0
  private depth = 0

  override evaluate(node: unknown, environment: unknown): Value {
    this.count(1)
    if (++this.depth > templateBounds.depth)
      throw new TemplateBound(`it nests deeper than the ${templateBounds.depth} levels that are allowed`)
    try {
      const value = super.evaluate(node, environment)
      const { value: held } = value
      if (typeof held === 'string' && held.length > templateBounds.characters)
        throw new TemplateBound(
          `it makes a text of more than the ${templateBounds.characters} characters that are allowed`,
        )
      if (Array.isArray(held)) this.count(held.length)
      return value
    } finally {
      // Jinja's `break` and `continue` are thrown.
      this.depth--
    }
  }

  private count(steps: number): void {
    this.steps += steps
    if (this.steps > templateBounds.steps)
      throw new TemplateBound(`it takes more than the ${templateBounds.steps} steps that are allowed`)
  }
}

/** The library's own names, which it sets up with a `range` that has no end. */
const globals: Readonly<Record<string, unknown>> = {
  false: false,
  False: false,
  true: true,
  True: true,
  none: null,
  None: null,
  raise_exception: (message: unknown) => {
    throw new Error(String(message))
  },
  range,
  strftime_now: (format: unknown) => new Template('{{ strftime_now(format) }}').render({ format }),
}

function range(first: number, second?: number, step = 1): number[] {
  if (step === 0) throw new Error('range() step must not be zero')
  const [start, stop] = second === undefined ? [0, first] : [first, second]
  const length = Math.max(0, Math.ceil((stop - start) / step)) || 0
  if (length > templateBounds.range)
    throw new TemplateBound(`it asks for a range of ${length}, more than the ${templateBounds.range} allowed`)
  return Array.from({ length }, (_, i) => start + i * step)
}
