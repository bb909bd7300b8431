import { createHash, timingSafeEqual } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import { ApiError } from './errors.js'

/**
 * @returns throws for a request without `Authorization: Bearer <key>`. The time it takes tells nothing of the key:
 * digests are compared, which have one length whatever was sent.
 */
export function bearerCheck(key: string): (request: FastifyRequest) => void {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
  const expected = digest(key)
  return ({ headers: { authorization = '' } }) => {
    const sent = /^Bearer +(.*)$/i.exec(authorization)?.[1] ?? ''
    if (!timingSafeEqual(digest(sent), expected)) {
      const message =
        sent === '' ? 'an API key is needed: Authorization: Bearer <key>' : 'the API key is wrong'
      throw new ApiError(401, message, { code: 'invalid_api_key' })
    }
  }
}
