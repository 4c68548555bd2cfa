// What a call's record says of its request.
#pragma once

#include "absl/strings/string_view.h"
#include "server/batch_request_view.h"
#include "server/call_context.h"
#include "src/model.h"
#include "tensord/v1/tensord.pb.h"

namespace tensord {

// Fill in what the client asks for, in its own words.
void Describe(const v1::ListModelsRequest& request, CallRecord& record);
void Describe(const v1::ListTensorsRequest& request, CallRecord& record);
void Describe(const v1::GetMetadataRequest& request, CallRecord& record);
void Describe(const v1::PeekTensorRequest& request, CallRecord& record);
void Describe(const v1::GetTensorRequest& request, CallRecord& record);
void Describe(const v1::GetSliceRequest& request, CallRecord& record);
void Describe(const BatchRequestView& request, CallRecord& record);
void Describe(const v1::ReadFileRequest& request, CallRecord& record);

// The model was found, and the client may read it.
void SetModel(const Model& model, CallRecord& record);

}  // namespace tensord
