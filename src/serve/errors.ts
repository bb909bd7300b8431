/** What goes wrong becomes one sentence in OpenAI's error envelope. */

import type { FastifyError, FastifyReply } from 'fastify'
import { nearest } from '../did-you-mean.js'
import { invalidParameter, isUserError, printable } from '../errors.js'
import { escapeText } from '../escape.js'
import { evictionFields, ignored, unsupported, unsupportedInMessages } from './fields.js'

export interface ErrorEnvelope {
  error: { message: string; type: string; param: string | null; code: string | null }
}

export interface ApiErrorOptions {
  type?: string
  /** The request's field that is at fault, `messages[0].role`. */
  param?: string
  code?: string
  /** Seconds after which asking again makes sense. */
  retryAfter?: number
}

/** An answer that is an error. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly options: ApiErrorOptions = {},
  ) {
    super(escapeText(message))
  }

  get envelope(): ErrorEnvelope {
    const { type = this.status < 500 ? 'invalid_request_error' : 'server_error', param, code } = this.options
    return { error: { message: this.message, type, param: param ?? null, code: code ?? null } }
  }
}

export function busy(why: string): ApiError {
  return new ApiError(503, why, { code: 'overloaded', retryAfter: 1 })
}

export function sendError(reply: FastifyReply, error: ApiError): FastifyReply {
  if (error.options.retryAfter !== undefined) reply.header('retry-after', error.options.retryAfter)
  return reply.code(error.status).send(error.envelope)
}

/** Of anything that was thrown while a request was served. */
export function apiErrorOf(error: unknown): ApiError {
  if (error instanceof ApiError) return error
  if (isUserError(error)) {
    if (error.code === 'HEADZIP_ABORTED')
      return busy('the request was stopped before its answer was complete')
    return new ApiError(error.code === 'HEADZIP_ENGINE' ? 500 : 400, error.message)
  }
  const { validation, statusCode, code, message } = error as Partial<FastifyError>
  if (validation) return invalidField(validation)
  switch (code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return new ApiError(413, 'the request is larger than this server takes', { code: 'request_too_large' })
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return new ApiError(415, 'the request must be JSON, with the content type application/json')
    case 'FST_ERR_CTP_INVALID_JSON_BODY':
    case 'FST_ERR_CTP_EMPTY_JSON_BODY':
      return new ApiError(400, 'the request is not valid JSON')
  }
  if (statusCode !== undefined && statusCode < 500) return new ApiError(statusCode, message ?? 'bad request')
  return new ApiError(500, 'the server failed in a way it should not')
}

/** What ajv reports with `verbose`. */
interface SchemaError {
  instancePath: string
  keyword: string
  params: Record<string, unknown>
  data?: unknown
  parentSchema?: { description?: string; properties?: object }
}

/**
 * The schema's descriptions say what is expected. The last error is the outermost: of `anyOf`, not of its branches; but
 * a field that is not known is named wherever it stands.
 */
function invalidField(validation: NonNullable<FastifyError['validation']>): ApiError {
  const errors = validation as unknown as SchemaError[]
  const unknown = errors.find(({ keyword }) => keyword === 'additionalProperties')
  if (unknown) return unknownField(unknown)
  const error = errors.at(-1)!
  const param = fieldName(error.instancePath)
  if (error.keyword === 'required') {
    const missing = String(error.params.missingProperty)
    const name = param === '' ? missing : `${param}.${missing}`
    return new ApiError(400, `${name} is missing`, { param: name })
  }
  const expected = error.parentSchema?.description ?? 'of another kind'
  const { message } = invalidParameter(param || 'the request', expected, error.data)
  return new ApiError(400, message, param === '' ? {} : { param })
}

function unknownField({ instancePath, params, parentSchema }: SchemaError): ApiError {
  const field = printable(String(params.additionalProperty), 80)
  const within = fieldName(instancePath)
  const name = within === '' ? field : `${within}.${field}`
  const followed = Object.keys(parentSchema?.properties ?? {}).filter(
    (each) => !(each in unsupported || each in ignored || each in unsupportedInMessages),
  )
  const meant = nearest(field, followed)
  const advice =
    within === '' && evictionFields.includes(field)
      ? ': what is evicted is chosen when the server is started'
      : meant === undefined
        ? ''
        : `; did you mean ${meant}?`
  return new ApiError(400, `${name} is not a field of a request here${advice}`, {
    param: name,
    code: 'unknown_parameter',
  })
}

/** `/messages/0/role` -> `messages[0].role` */
function fieldName(path: string): string {
  return path
    .replaceAll(/\/(\d+)(?=\/|$)/g, '[$1]')
    .replaceAll('/', '.')
    .replace(/^\./, '')
}
