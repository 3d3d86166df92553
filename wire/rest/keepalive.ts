// The liveness call of clients; it exists on sockets only (signal-api §1.3.5).
import { nothing, route } from '../route.ts'

export const keepaliveRoutes = {
  keepalive: route({
    method: 'GET',
    path: '/v1/keepalive',
    auth: 'none',
    summary: 'Answers 200 on a socket; 404 over plain HTTP',
    replies: { 200: nothing, 404: nothing },
  }),
}
