/* SPDX-License-Identifier: Apache-2.0 */

/* endpoint -> signature -> headers -> request. What is signed goes on the wire byte for byte. */
#include "detector/aws_signed.h"

#include "common/clock.h"
#include "detector/aws_endpoint.h"

MUST_USE static int put_headers(const struct sigv4_request *request, const struct sigv4_signature *signature,
                                const struct aws_credentials *credentials, struct buffer *to, struct error *err)
{
	if (buffer_printf(to, err, "Host: %s\nX-Amz-Date: %s\nAuthorization: %s\n", request->host, signature->date,
	                  signature->authorization.bytes) < 0 ||
	    (request->with_content_hash &&
	     buffer_printf(to, err, "X-Amz-Content-Sha256: %s\n", signature->content_hash) < 0) ||
	    (credentials->session_token.length > 0 &&
	     buffer_printf(to, err, "X-Amz-Security-Token: %.*s\n", (int)credentials->session_token.length,
	                   (const char *)credentials->session_token.bytes) < 0))
		return -1;
	for (size_t i = 0; i < request->header_count; i++)
		if (buffer_printf(to, err, "%s: %s\n", request->headers[i].name, request->headers[i].value) < 0)
			return -1;
	return 0;
}

int aws_signed_send(struct aws_http *http, const struct aws_call *call, const char *region, const char *given,
                    const struct aws_credentials *credentials, struct aws_http_answer *answer, struct error *err)
{
	CLEANUP_SIGNATURE struct sigv4_signature signature = {0};
	CLEANUP_SECRET_BUFFER struct buffer headers = {0};
	CLEANUP_BUFFER struct buffer url = {0}, path = {0};
	struct aws_endpoint endpoint;
	struct sigv4_pair pairs[2];
	struct sigv4_request request = {.method = call->content_type != NULL ? "POST" : "GET",
	                                .service = call->service,
	                                .query = call->query,
	                                .query_count = call->query_count,
	                                .headers = pairs,
	                                .body = call->body,
	                                .body_length = call->body_length,
	                                .with_content_hash = call->bucket != NULL,
	                                .now_us = clock_now_us()};
	if (aws_endpoint_of(call->service, region, call->bucket, given, &endpoint, err) < 0 ||
	    buffer_printf(&path, err, "%s%s", endpoint.folder, call->path != NULL ? call->path : "/") < 0)
		return -1;
	if (call->content_type != NULL)
		pairs[request.header_count++] = (struct sigv4_pair){"Content-Type", call->content_type};
	if (call->target != NULL)
		pairs[request.header_count++] = (struct sigv4_pair){"X-Amz-Target", call->target};
	request.region = endpoint.region;
	request.host = endpoint.host;
	request.path = path.bytes;
	if (sigv4_sign(&request, credentials, &signature, err) < 0 ||
	    put_headers(&request, &signature, credentials, &headers, err) < 0 ||
	    buffer_printf(&url, err, "%s%s", endpoint.base, signature.target.bytes) < 0)
		return -1;
	const struct aws_http_request send = {.method = request.method,
	                                      .url = url.bytes,
	                                      .headers = &headers,
	                                      .body = call->content_type != NULL ? call->body : NULL,
	                                      .body_length = call->body_length,
	                                      .has_sink = call->sink > 0,
	                                      .sink = call->sink};
	return aws_http_send(http, &send, answer, err);
}
