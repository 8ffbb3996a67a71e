//! The elements that matter, by their local names.

/// An element of CommerceML.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    Root,
    Classifier,
    Catalogue,
    Offers,
    OfferChanges,
    Document,
    Groups,
    Group,
    Goods,
    Good,
    OfferList,
    Offer,
    Warehouses,
    Warehouse,
    PriceTypes,
    PriceType,
    Properties,
    Property,
    Variants,
    Variant,
    Id,
    CatalogueId,
    ClassifierId,
    Name,
    Deleted,
    Status,
    Barcodes,
    Barcode,
    Article,
    Quantity,
    Rests,
    Rest,
    StockList,
    StockEntry,
    WarehouseId,
    Prices,
    Price,
    PriceTypeId,
    UnitPrice,
    Currency,
    MinQuantity,
    PropertyValues,
    PropertyValue,
    Requisites,
    Requisite,
    Characteristics,
    Characteristic,
    ValueId,
    Value,
    Other,
}

impl Tag {
    /// The tag of a name. Hardly any file writes a namespace's prefix, so it is looked for only where the name as a
    /// whole says nothing.
    pub(super) fn of(name: &str) -> Self {
        match Self::of_local(name) {
            Self::Other => name
                .split_once(':')
                .map_or(Self::Other, |(_, local)| Self::of_local(local)),
            tag => tag,
        }
    }

    /// The tag of a local name. The names are in the order of how often they come.
    fn of_local(name: &str) -> Self {
        match name {
            "Ид" => Self::Id,
            "Количество" => Self::Quantity,
            "Склад" => Self::Warehouse,
            "Остаток" => Self::Rest,
            "Значение" => Self::Value,
            "Наименование" => Self::Name,
            "Предложение" => Self::Offer,
            "Остатки" => Self::Rests,
            "Цена" => Self::Price,
            "Цены" => Self::Prices,
            "ЦенаЗаЕдиницу" => Self::UnitPrice,
            "ИдТипаЦены" => Self::PriceTypeId,
            "Валюта" => Self::Currency,
            "Представление" | "Единица" | "Коэффициент" | "БазоваяЕдиница" => {
                Self::Other
            }
            "Штрихкод" | "ШтрихКод" => Self::Barcode,
            "Артикул" => Self::Article,
            "ЗначенияСвойства" => Self::PropertyValue,
            "ЗначениеРеквизита" => Self::Requisite,
            "ХарактеристикаТовара" => Self::Characteristic,
            "ХарактеристикиТовара" => Self::Characteristics,
            "ЗначенияСвойств" => Self::PropertyValues,
            "ЗначенияРеквизитов" => Self::Requisites,
            "ИдСклада" => Self::WarehouseId,
            "КоличествоНаСкладе" => Self::StockEntry,
            "КоличествоНаСкладах" => Self::StockList,
            "ИдЗначения" => Self::ValueId,
            "Справочник" | "ВариантЗначения" => Self::Variant,
            "Товар" => Self::Good,
            "ПометкаУдаления" => Self::Deleted,
            "Статус" => Self::Status,
            "МинКоличество" => Self::MinQuantity,
            "Штрихкоды" => Self::Barcodes,
            "Свойство" | "СвойствоНоменклатуры" => Self::Property,
            "ТипЦены" => Self::PriceType,
            "Документ" => Self::Document,
            other => Self::container(other),
        }
    }

    /// What comes only a few times in a file.
    fn container(name: &str) -> Self {
        match name {
            "КоммерческаяИнформация" => Self::Root,
            "Классификатор" => Self::Classifier,
            "Каталог" => Self::Catalogue,
            "ПакетПредложений" => Self::Offers,
            "ИзмененияПакетаПредложений" => Self::OfferChanges,
            "Группы" => Self::Groups,
            "Группа" => Self::Group,
            "Товары" => Self::Goods,
            "Предложения" => Self::OfferList,
            "Склады" => Self::Warehouses,
            "ТипыЦен" => Self::PriceTypes,
            "Свойства" => Self::Properties,
            "ВариантыЗначений" => Self::Variants,
            "ИдКаталога" => Self::CatalogueId,
            "ИдКлассификатора" => Self::ClassifierId,
            _ => Self::Other,
        }
    }

    /// Whether the element's text is a value that somebody reads.
    pub(super) fn has_value(self) -> bool {
        matches!(
            self,
            Self::Id
                | Self::CatalogueId
                | Self::ClassifierId
                | Self::Name
                | Self::Deleted
                | Self::Status
                | Self::Barcode
                | Self::Article
                | Self::Quantity
                | Self::StockEntry
                | Self::WarehouseId
                | Self::PriceTypeId
                | Self::UnitPrice
                | Self::Currency
                | Self::MinQuantity
                | Self::ValueId
                | Self::Value
        )
    }
}
