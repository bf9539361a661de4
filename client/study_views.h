// Studies and trials as dsctl shows them: their documents, and the columns of a table.
#pragma once

#include <vector>

#include "client/view.h"
#include "ds/v1/tune.pb.h"

namespace ds::client {

View study_view(const v1::Study& study);
View studies_view(const std::vector<v1::Study>& studies);
View trials_view(const v1::Study& study, const std::vector<v1::Trial>& trials);
View best_view(const Json& best);
// Of two objectives: a line a trial of the front, with posterior means, values of the search, and which one is the
// knee.
View front_view(const v1::Study& study, const std::vector<v1::Trial>& trials);
View importance_view(const std::vector<v1::ParameterImportance>& parameters);

}  // namespace ds::client
