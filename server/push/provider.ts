import type { Notice, PushAddress, Pushed } from '../kit/push-gateway.ts'

/** One try. `broken`: the provider did not answer as providers do; enough of these in a row open its breaker. */
export type Tried = Pushed & { readonly broken?: boolean; readonly reason?: string | undefined }

export type AddressOf<Service extends PushAddress['service']> = Extract<
  PushAddress,
  { readonly service: Service }
>

/** Takes pushes for one sort of address. Never rejects; answers within half a minute. */
export interface Provider<Service extends PushAddress['service'] = PushAddress['service']> {
  readonly service: Service
  push(to: AddressOf<Service>, notice: Notice): Promise<Tried>
  close(): Promise<void>
}
