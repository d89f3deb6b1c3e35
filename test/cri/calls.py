# SPDX-License-Identifier: Apache-2.0
"""Calls of CRI by their names, through gRPC's generic channel: grpcio-tools is in no Debian package."""
import json

import grpc
from google.protobuf import json_format

import api_pb2

TIME_LIMIT = 120  # seconds for one call: kubelet's runtimeRequestTimeout


class Runtime:
    def __init__(self, socket):
        self.channel = grpc.insecure_channel("unix://" + socket)

    def call(self, method, **fields):
        """fields: those of the request, messages as dicts. Gives the response."""
        request = json_format.ParseDict(fields, getattr(api_pb2, method + "Request")())
        service = "ImageService" if method.startswith("Image") else "RuntimeService"
        stub = self.channel.unary_unary(
            f"/runtime.v1.{service}/{method}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=getattr(api_pb2, method + "Response").FromString)
        return stub(request, timeout=TIME_LIMIT)


def as_json(message):
    """With the names of api.proto, and fields that have their default value as well."""
    return json.dumps(json_format.MessageToDict(message, including_default_value_fields=True,
                                                preserving_proto_field_name=True))
